// The scenario of an OAuth client with oauth4webapi, whose checks of each answer are strict: discovery, private_key_jwt,
// DPoP, token exchange, introspection, revocation; then the same with something altered, which has to be refused.
//
// usage: node oauth4webapi.mjs < what.json
//
// Prints one JSON object: what was seen, and under "refused" what came of each altered attempt.
import { ACCESS_TOKEN, EXCHANGE, altered, importKey, load, refusal, told } from "./scenario.mjs";

const oauth = await load("oauth4webapi");
const what = await told();
// The library's own switch for plain HTTP, which the test uses on loopback.
const plain = { [oauth.allowInsecureRequests]: true };

const discover = async (issuer) => {
  const url = new URL(issuer);
  return oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { algorithm: "oauth2", ...plain }));
};
const as = await discover(what.issuer);
const client = { client_id: what.client_id };
// The assertion is for the issuer alone (RFC 7523 bis), and names the key.
const assertion = { [oauth.modifyAssertion]: (header) => void (header.kid = what.kid) };
const authentication = oauth.PrivateKeyJwt(await importKey(what.client_key), assertion);

const buy = async (resource, scope, { with: means = authentication, ...options } = {}) => {
  const response = await oauth.clientCredentialsGrantRequest(as, client, means, { resource, scope }, { ...plain, ...options });
  return oauth.processClientCredentialsResponse(as, client, response);
};
const exchange = async (subject) => {
  const form = { subject_token: subject, subject_token_type: ACCESS_TOKEN, resource: what.target };
  const response = await oauth.genericTokenEndpointRequest(as, client, authentication, EXCHANGE, form, plain);
  return oauth.processGenericTokenEndpointResponse(as, client, response);
};
const introspect = async (token) => {
  const response = await oauth.introspectionRequest(as, client, authentication, token, plain);
  return oauth.processIntrospectionResponse(as, client, response);
};
const revoke = async (token) =>
  oauth.processRevocationResponse(await oauth.revocationRequest(as, client, authentication, token, plain));
// As a resource server: signature, `typ`, issuer, audience and times (RFC 9068 §4).
const validate = (token, audience) => {
  const request = new Request("http://api.test/", { headers: { authorization: `Bearer ${token}` } });
  return oauth.validateJwtAccessToken(as, request, audience, plain);
};

const subject = await buy(what.resource, what.scope);
const claims = await validate(subject.access_token, what.resource);
const passed_on = await exchange(what.subject);
const active = await introspect(passed_on.access_token);

const DPoP = oauth.DPoP(client, await oauth.generateKeyPair("ES256"));
const bound = await buy(what.bound, what.bound_scope, { DPoP });
const call = (handle) =>
  oauth.protectedResourceRequest(bound.access_token, "GET", new URL(what.api), undefined, undefined, { DPoP: handle, ...plain });
const echoed = await (await call(DPoP)).json();

await revoke(passed_on.access_token);
const inactive = await introspect(passed_on.access_token);

const stranger = oauth.PrivateKeyJwt(
  (await oauth.generateKeyPair("ES256")).privateKey,
  assertion,
);
const elsewhere = { [oauth.modifyAssertion]: (_, payload) => void (payload.htu = "https://elsewhere.test/oauth2/token") };
console.log(
  JSON.stringify({
    sub: claims.sub,
    types: [subject.token_type, bound.token_type, passed_on.issued_token_type],
    introspected: { active: active.active, sub: active.sub, act: active.act },
    echoed,
    after_revocation: inactive,
    refused: {
      another_issuer: await refusal(() => discover(what.issuer.replace("127.0.0.1", "localhost"))),
      altered_token: await refusal(() => validate(altered(subject.access_token), what.resource)),
      another_audience: await refusal(() => validate(subject.access_token, what.target)),
      another_client_key: await refusal(() => buy(what.resource, what.scope, { with: stranger })),
      altered_subject: await refusal(() => exchange(altered(what.subject))),
      altered_introspected: (await introspect(altered(what.subject))).active,
      proof_for_elsewhere: await refusal(async () =>
        buy(what.bound, what.bound_scope, { DPoP: oauth.DPoP(client, await oauth.generateKeyPair("ES256"), elsewhere) })),
      another_proof_key: await refusal(async () => call(oauth.DPoP(client, await oauth.generateKeyPair("ES256")))),
    },
  }),
);
