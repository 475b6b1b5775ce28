//! The addresses of everything that `symbolon dev` runs, settled before anything starts.
//! Not here: binding them, which each program does itself.

use std::net::{IpAddr, SocketAddr};

use anyhow::Context as _;
use tokio::net::TcpListener;

use crate::exit::Failure;

/// Free ports are looked for here: below the range that the kernel gives to outgoing connections
/// (32768 and up on Linux), so that no connection takes a port between our look and the program's bind.
const FREE_FROM: u16 = 10_240;
const FREE_SPAN: u16 = 22_000;
const ATTEMPTS: usize = 200;

/// One address for each listener.
#[derive(Debug, Clone)]
pub(crate) struct Ports {
    pub(crate) broker: SocketAddr,
    pub(crate) broker_admin: SocketAddr,
    pub(crate) sidecar: SocketAddr,
    pub(crate) orders: SocketAddr,
    pub(crate) payroll: SocketAddr,
    pub(crate) notes: SocketAddr,
    pub(crate) sidecar_health: SocketAddr,
    pub(crate) gateway: SocketAddr,
    pub(crate) gateway_admin: SocketAddr,
    pub(crate) api: SocketAddr,
}

impl Ports {
    /// The documented default ports, moved to start at `base`.
    pub(crate) fn from_base(ip: IpAddr, base: u16) -> anyhow::Result<Self> {
        let last = base.checked_add(30);
        if last.is_none() || base < 1024 {
            return Err(Failure::usage(format!("--port-base {base}: it is 0, or 1024 to 65505")).into());
        }
        let at = |offset: u16| SocketAddr::new(ip, base.saturating_add(offset));
        Ok(Self {
            broker: at(0),
            broker_admin: at(1),
            sidecar: at(10),
            orders: at(11),
            payroll: at(12),
            notes: at(13),
            sidecar_health: at(19),
            gateway: at(20),
            gateway_admin: at(21),
            api: at(30),
        })
    }

    /// Any free ports.
    pub(crate) async fn free(ip: IpAddr) -> anyhow::Result<Self> {
        let mut held = Held { ip, listeners: Vec::new() };
        let ports = Self {
            broker: held.next().await?,
            broker_admin: held.next().await?,
            sidecar: held.next().await?,
            orders: held.next().await?,
            payroll: held.next().await?,
            notes: held.next().await?,
            sidecar_health: held.next().await?,
            gateway: held.next().await?,
            gateway_admin: held.next().await?,
            api: held.next().await?,
        };
        Ok(ports)
    }
}

/// One more free address, for listeners that only some runs have.
pub(crate) async fn free_one(ip: IpAddr) -> anyhow::Result<SocketAddr> {
    Held { ip, listeners: Vec::new() }.next().await
}

/// Listeners that are held while further ports are looked for, so that no port is found twice.
struct Held {
    ip: IpAddr,
    listeners: Vec<TcpListener>,
}

impl Held {
    async fn next(&mut self) -> anyhow::Result<SocketAddr> {
        for _ in 0..ATTEMPTS {
            let random: [u8; 2] = symbolon_jws::random_bytes().context("no randomness")?;
            let port = FREE_FROM.saturating_add(u16::from_be_bytes(random) % FREE_SPAN);
            let address = SocketAddr::new(self.ip, port);
            if let Ok(listener) = TcpListener::bind(address).await {
                self.listeners.push(listener);
                return Ok(address);
            }
        }
        anyhow::bail!("no free port on {}", self.ip)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn free_ports_are_distinct() {
        let ports = Ports::free(LOOPBACK).await.unwrap();
        let all = [ports.broker, ports.broker_admin, ports.sidecar, ports.orders, ports.payroll, ports.notes];
        let rest = [ports.sidecar_health, ports.gateway, ports.gateway_admin, ports.api];
        let distinct: BTreeSet<_> = all.iter().chain(&rest).collect();
        assert_eq!(distinct.len(), 10);
    }

    #[test]
    fn the_default_base_gives_the_documented_ports() {
        let ports = Ports::from_base(LOOPBACK, 8700).unwrap();
        assert_eq!(
            (ports.gateway.port(), ports.orders.port(), ports.sidecar_health.port()),
            (8720, 8711, 8719)
        );
        assert!(Ports::from_base(LOOPBACK, 80).is_err());
        assert!(Ports::from_base(LOOPBACK, u16::MAX).is_err());
    }
}
