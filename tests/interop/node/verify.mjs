// Verifies a token from standard input with jose, with keys from the broker's JWKS.
//
// usage: node verify.mjs JWKS_URL ISSUER AUDIENCE < token
//
// Prints one JSON object: {"verified": true, "sub": ...} or {"verified": false, "error": ...}.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// The packages live in the cache that scripts/setup fills, not beside this file.
const require = createRequire(`${process.env.SYMBOLON_INTEROP_NODE}/package.json`);
const { createRemoteJWKSet, errors, jwtVerify } = await import(pathToFileURL(require.resolve("jose")).href);

const [jwksUrl, issuer, audience] = process.argv.slice(2);
const token = readFileSync(0, "utf8").trim();
const keys = createRemoteJWKSet(new URL(jwksUrl), { timeoutDuration: 5000 });

try {
  const { payload } = await jwtVerify(token, keys, {
    algorithms: ["ES256"],
    audience,
    issuer,
    requiredClaims: ["exp", "iat", "sub", "jti"],
    typ: "at+jwt",
  });
  console.log(JSON.stringify({ verified: true, sub: payload.sub }));
} catch (error) {
  if (!(error instanceof errors.JOSEError)) throw error;
  console.log(JSON.stringify({ verified: false, error: error.code }));
}
