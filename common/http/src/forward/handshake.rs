//! A WebSocket handshake on its way up, and the tunnel that comes of it.
//! Nothing of the new protocol is sent before the upstream has agreed to it.

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Request, Response, StatusCode};

use super::{Cleared, ForwardError, Forwarder, Outgoing, TimeoutStage, accept, clean, rewrite};
use crate::body::{Body, Leash};
use crate::tunnel::Tunnel;
use crate::upgrade;

impl<P: Cleared> Forwarder<P> {
    /// Sends the handshake of `head`. An upstream that does not agree has its answer passed back like any other; one that
    /// does has the place of a request free again, because a tunnel is none.
    pub(super) async fn shake_hands(
        &self,
        mut cleared: P,
        mut head: Parts,
        mut leash: Leash,
    ) -> Result<Response<Body>, ForwardError> {
        rewrite(&mut head, &cleared, false)?;
        say_upgrade(&mut head.headers);
        let (body, _) = Outgoing::new(Body::empty(), None, None);
        let answer = self.lanes.http1().request(Request::from_parts(head, body));
        let mut answer = self.wait(&cleared, self.answer_timeout, &mut leash, answer).await?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return accept(answer, &mut cleared, leash);
        }
        if !upgrade::is_websocket(answer.headers()) {
            return Err(ForwardError::protocol(cleared.upstream()));
        }
        let upgraded = tokio::time::timeout(self.answer_timeout, hyper::upgrade::on(&mut answer)).await;
        let upgraded =
            upgraded.map_err(|_| ForwardError::timeout(cleared.upstream(), TimeoutStage::Answer))?;
        let upgraded = upgraded.map_err(|_| ForwardError::protocol(cleared.upstream()))?;
        let (mut head, _) = answer.into_parts();
        clean(&mut head.headers, &mut cleared);
        head.headers.remove(header::CONTENT_LENGTH);
        say_upgrade(&mut head.headers);
        head.extensions.clear();
        let guard = leash.guard.take();
        let kept = cleared.opened(guard.as_ref(), &mut head);
        let tunnel = Tunnel::new(upgraded, guard, cleared.tunnel_terms()).keeping(kept);
        head.extensions.insert(tunnel.pack());
        Ok(Response::from_parts(head, Body::empty()))
    }
}

fn say_upgrade(headers: &mut http::HeaderMap) {
    headers.remove(header::TE);
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}
