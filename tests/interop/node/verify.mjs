// Verifies tokens from standard input, one a line, with jose and keys from the broker's JWKS.
//
// usage: node verify.mjs JWKS_URL ISSUER AUDIENCE[,AUDIENCE...] < tokens
//
// One client sees all of them, as a service would. Prints one JSON object a line: {"verified": true, "sub": ..., "alg": ...}
// or {"verified": false, "error": ...}.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

// The packages live in the cache that scripts/setup fills, not beside this file.
const require = createRequire(`${process.env.SYMBOLON_INTEROP_NODE}/package.json`);
const { createRemoteJWKSet, errors, jwtVerify } = await import(pathToFileURL(require.resolve("jose")).href);

const [jwksUrl, issuer, audiences] = process.argv.slice(2);
// A key that is not known is looked for at most once in this time; the tests' keys are published for longer.
const keys = createRemoteJWKSet(new URL(jwksUrl), { cooldownDuration: 1000, timeoutDuration: 5000 });

async function verify(token) {
  try {
    const { payload, protectedHeader } = await jwtVerify(token, keys, {
      algorithms: ["ES256", "EdDSA", "RS256", "PS256"],
      audience: audiences.split(","),
      issuer,
      requiredClaims: ["exp", "iat", "sub", "jti"],
      typ: "at+jwt",
    });
    return { verified: true, sub: payload.sub, alg: protectedHeader.alg };
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    return { verified: false, error: error.code };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await verify(line.trim())));
}
