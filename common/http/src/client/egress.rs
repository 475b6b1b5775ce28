//! Which addresses a client may connect to.
//! Not a firewall for forwarded requests: their upstreams are named by the operator.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The addresses that a client may connect to, judged after names are resolved.
///
/// Public addresses always may be, unless they are a cloud's metadata service. Loopback and private ones
/// only if allowed as a class; link-local ones and metadata services only if listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressPolicy {
    loopback: bool,
    private: bool,
    plaintext: bool,
    listed: Vec<IpNet>,
}

/// Services that give credentials to whoever can reach them: AWS and most others, ECS, EKS, Azure's host,
/// Alibaba, and their IPv6 twins.
const METADATA: [IpAddr; 8] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0023)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254)),
];

/// Link-local networks: what answers there belongs to the machine or its cloud.
const LINK_LOCAL: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10)),
];

/// What kind of place an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Public,
    Loopback,
    Private,
    /// Link-local, multicast, reserved, documentation, unspecified: never by class.
    Special,
}

impl AddressPolicy {
    /// Public addresses only.
    #[must_use]
    pub const fn public() -> Self {
        Self { loopback: false, private: false, plaintext: false, listed: Vec::new() }
    }

    /// Also this machine.
    #[must_use]
    pub fn allow_loopback(mut self) -> Self {
        self.loopback = true;
        self
    }

    /// Also private networks (RFC 1918, RFC 4193, RFC 6598).
    #[must_use]
    pub fn allow_private(mut self) -> Self {
        self.private = true;
        self
    }

    /// Also `network`, whatever it is.
    #[must_use]
    pub fn allow(mut self, network: IpNet) -> Self {
        self.listed.push(network);
        self
    }

    /// Also plain `http` to other machines. For metadata services, which offer nothing else.
    #[must_use]
    pub fn allow_plaintext(mut self) -> Self {
        self.plaintext = true;
        self
    }

    /// Whether `network` holds link-local addresses or a metadata service.
    #[must_use]
    pub fn opens_special(network: &IpNet) -> bool {
        LINK_LOCAL.iter().any(|other| network.contains(other) || other.contains(network))
            || METADATA.iter().any(|address| network.contains(address))
    }

    /// Whether a connection to `address` may be made.
    #[must_use]
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = real(address);
        if self.listed.iter().any(|network| network.contains(&address)) {
            return true;
        }
        if METADATA.contains(&address) {
            return false;
        }
        match classify(address) {
            Class::Public => true,
            Class::Loopback => self.loopback,
            Class::Private => self.private,
            Class::Special => false,
        }
    }

    pub(super) const fn permits_plaintext(&self) -> bool {
        self.plaintext
    }
}

/// Whether `name` is this machine by definition (RFC 6761 §6.3).
pub(super) fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
}

/// The address that packets really go to: IPv4 inside IPv6 is IPv4.
fn real(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address.to_canonical() else {
        return address.to_canonical();
    };
    match v6.segments() {
        // NAT64 (RFC 6052 §2.1) and 6to4 (RFC 3056 §2).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => embedded(high, low),
        _ => IpAddr::V6(v6),
    }
}

fn embedded(high: u16, low: u16) -> IpAddr {
    let [a, b] = high.to_be_bytes();
    let [c, d] = low.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

fn classify(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => classify_v6(v6),
    }
}

fn classify_v4(address: Ipv4Addr) -> Class {
    match address.octets() {
        [127, ..] => Class::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Class::Private,
        // IANA's special-purpose registry (RFC 6890): this network, link-local, protocol assignments,
        // documentation, benchmarking, multicast, reserved, broadcast.
        [0 | 224..=255, ..]
        | [169, 254, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Class::Special,
        _ => Class::Public,
    }
}

fn classify_v6(address: Ipv6Addr) -> Class {
    if address.is_loopback() {
        return Class::Loopback;
    }
    match address.segments() {
        [0xfc00..=0xfdff, ..] => Class::Private,
        // Documentation and protocol assignments inside the global range.
        [0x2001, 0x0db8 | 0..=0x01ff, ..] | [0x3fff, 0..=0x0fff, ..] => Class::Special,
        // Only 2000::/3 is global unicast (RFC 4291 §2.4).
        [0x2000..=0x3fff, ..] => Class::Public,
        _ => Class::Special,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(policy: &AddressPolicy, address: &str) -> bool {
        policy.permits(address.parse().unwrap())
    }

    #[test]
    fn by_default_only_public_addresses_are_reached() {
        let policy = AddressPolicy::public();
        for address in ["1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "2606:4700::1111"] {
            assert!(permits(&policy, address), "{address}");
        }
        for address in [
            "127.0.0.1",
            "127.8.8.8",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.0.1",
            "100.64.0.1",
            "169.254.1.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "240.0.0.1",
            "198.18.0.1",
            "192.0.2.1",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "fec0::1",
            "2001:db8::1",
            "::7f00:1",
            "2001::1",
        ] {
            assert!(!permits(&policy, address), "{address}");
        }
    }

    #[test]
    fn ipv4_hidden_in_ipv6_is_judged_as_ipv4() {
        let policy = AddressPolicy::public();
        for address in [
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
        ] {
            assert!(!permits(&policy, address), "{address}");
        }
        assert!(permits(&policy, "::ffff:1.1.1.1"));
        assert!(permits(&policy.allow_loopback(), "::ffff:127.0.0.1"));
    }

    #[test]
    fn classes_are_allowed_one_by_one() {
        let loopback = AddressPolicy::public().allow_loopback();
        assert!(permits(&loopback, "127.0.0.1") && permits(&loopback, "::1"));
        assert!(!permits(&loopback, "10.0.0.1"));
        let private = AddressPolicy::public().allow_private();
        assert!(permits(&private, "10.0.0.1") && permits(&private, "fd12::1"));
        assert!(!permits(&private, "127.0.0.1") && !permits(&private, "169.254.1.1"));
    }

    #[test]
    fn a_network_that_holds_special_addresses_is_told_from_one_that_does_not() {
        for network in
            ["10.0.0.0/8", "192.168.0.0/16", "127.0.0.0/8", "fc00::/12", "100.64.0.0/11", "1.2.3.0/24"]
        {
            assert!(!AddressPolicy::opens_special(&network.parse().unwrap()), "{network}");
        }
        for network in [
            "0.0.0.0/0",
            "169.254.0.0/16",
            "169.254.169.0/24",
            "168.63.129.16/30",
            "100.64.0.0/10",
            "::/0",
            "fd00::/8",
            "fe80::/64",
        ] {
            assert!(AddressPolicy::opens_special(&network.parse().unwrap()), "{network}");
        }
    }

    #[test]
    fn metadata_services_are_reached_only_if_listed() {
        let all = AddressPolicy::public().allow_loopback().allow_private();
        for address in METADATA {
            assert!(!all.permits(address), "{address}");
        }
        let listed = AddressPolicy::public().allow("169.254.169.254/32".parse().unwrap());
        assert!(permits(&listed, "169.254.169.254"));
        assert!(permits(&listed, "::ffff:169.254.169.254"));
        assert!(!permits(&listed, "169.254.170.2"));
    }
}
