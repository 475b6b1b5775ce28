// What the scripts of the OAuth clients share: what they are told, the client's key, and what a refusal looked like.
// Not here: any OAuth, which is the libraries' part.
import { createRequire } from "node:module";
import { createPrivateKey } from "node:crypto";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

// The packages live in the cache that scripts/setup fills, not beside this file.
const require = createRequire(`${process.env.SYMBOLON_INTEROP_NODE}/package.json`);

/** An installed package. */
export const load = (name) => import(pathToFileURL(require.resolve(name)).href);

/** What the test says: where the broker and the API are, who the client is, and what it asks for. */
export const told = async () => JSON.parse(await text(process.stdin));

/** A private key in PEM as the Web Cryptography API wants it. */
export const importKey = (pem) => {
  const der = createPrivateKey(pem).export({ format: "der", type: "pkcs8" });
  return crypto.subtle.importKey("pkcs8", der, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
};

/** The same token with one byte of its signature changed. */
export const altered = (token) => {
  const [header, payload, signature] = token.split(".");
  const bytes = Buffer.from(signature, "base64url");
  bytes[40] ^= 1;
  return [header, payload, bytes.toString("base64url")].join(".");
};

/** What came of an attempt that has to fail: the OAuth error if there was one, else the library's own code. */
export const refusal = async (attempt) => {
  try {
    await attempt();
  } catch (error) {
    const challenge = Array.isArray(error.cause) ? error.cause[0]?.parameters?.error : undefined;
    return error.error ?? challenge ?? error.code ?? error.name;
  }
  return "nothing was refused";
};

export const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
export const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";
