// The scenario of an OAuth client with openid-client: discovery, private_key_jwt, DPoP, token exchange, introspection,
// revocation; then the same with something altered, which has to be refused.
//
// usage: node openid_client.mjs < what.json
//
// Prints one JSON object: what was seen, and under "refused" what came of each altered attempt.
import { ACCESS_TOKEN, EXCHANGE, altered, importKey, load, refusal, told } from "./scenario.mjs";

const client = await load("openid-client");
const what = await told();
const assertion = { [client.modifyAssertion]: (header) => void (header.kid = what.kid) };
// The library's own switch for plain HTTP, which the test uses on loopback.
const options = { algorithm: "oauth2", execute: [client.allowInsecureRequests] };
const discover = (issuer, key) =>
  client.discovery(new URL(issuer), what.client_id, undefined, client.PrivateKeyJwt(key, assertion), options);

const config = await discover(what.issuer, await importKey(what.client_key));
const exchange = (subject) =>
  client.genericGrantRequest(config, EXCHANGE, {
    subject_token: subject,
    subject_token_type: ACCESS_TOKEN,
    resource: what.target,
  });

const subject = await client.clientCredentialsGrant(config, { resource: what.resource, scope: what.scope });
const passed_on = await exchange(what.subject);
const active = await client.tokenIntrospection(config, passed_on.access_token);

const handle = async (more) => ({ DPoP: client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256"), more) });
const own = await handle();
const bound = await client.clientCredentialsGrant(config, { resource: what.bound, scope: what.bound_scope }, own);
const call = (with_handle) =>
  client.fetchProtectedResource(config, bound.access_token, new URL(what.api), "GET", undefined, undefined, with_handle);
const echoed = await (await call(own)).json();

await client.tokenRevocation(config, passed_on.access_token);
const inactive = await client.tokenIntrospection(config, passed_on.access_token);

const { privateKey } = await client.randomDPoPKeyPair("ES256");
const stranger = await discover(what.issuer, privateKey);
const elsewhere = { [client.modifyAssertion]: (_, payload) => void (payload.htu = "https://elsewhere.test/oauth2/token") };
console.log(
  JSON.stringify({
    sub: (await client.tokenIntrospection(config, subject.access_token)).sub,
    types: [subject.token_type, bound.token_type, passed_on.issued_token_type],
    introspected: { active: active.active, sub: active.sub, act: active.act },
    echoed,
    after_revocation: inactive,
    refused: {
      another_issuer: await refusal(() => discover(what.issuer.replace("127.0.0.1", "localhost"), privateKey)),
      another_client_key: await refusal(() => client.clientCredentialsGrant(stranger, { resource: what.resource })),
      altered_subject: await refusal(() => exchange(altered(what.subject))),
      altered_introspected: (await client.tokenIntrospection(config, altered(what.subject))).active,
      proof_for_elsewhere: await refusal(async () =>
        client.clientCredentialsGrant(config, { resource: what.bound, scope: what.bound_scope }, await handle(elsewhere))),
      another_proof_key: await refusal(async () => call(await handle())),
    },
  }),
);
