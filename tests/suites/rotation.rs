//! Signing keys come and go: nobody notices a rotation, and a revoked key opens nothing.
//! Not here: foreign verifiers across a rotation (`interop/rotation.rs`).

mod killed;
mod load;
mod operators;
mod revoked;

use symbolon_e2e::api::Api;
use symbolon_e2e::programs::Gateway;
use symbolon_e2e::ring::{ALGORITHMS, Ring, audience, audiences};

/// A gateway that looks at the keys every second and has a route for each algorithm.
async fn gateway(ring: &Ring, api: &Api) -> Gateway {
    let routes = ALGORITHMS.map(|algorithm| {
        format!(
            "  - {{ name: {name}, match: {{ path: /{algorithm}/** }}, resource: \"{audience}\", upstream: {{ url: \"http://{api}\" }}, stages: [{{ verify: {{ issuers: [broker] }} }}] }}\n",
            name = algorithm.to_lowercase(),
            audience = audience(algorithm),
            api = api.address,
        )
    });
    let config = format!(
        "keys: {{ directory: {{folder}}/keys, refresh: 1s }}\n\
         issuers: [{{ name: broker, issuer: \"{url}\", dev: true, audiences: [{audiences}], binding: when_bound }}]\n\
         routes:\n{routes}",
        url = ring.broker.url,
        audiences = audiences(),
        routes = routes.concat(),
    );
    let gateway = Gateway::start(&config, &[]).await;
    gateway.ready().await;
    gateway
}
