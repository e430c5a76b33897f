//! Where a webhook may be called.
//!
//! In: a URL of a policy, the addresses that its host resolved to, and what the
//! configuration opens. Out: whether that address is called. Whoever may write
//! a policy must not reach through the actuator what is not theirs: the cloud's
//! metadata, the actuator's own host, or services within the cluster.
//!
//! Pure: no IO, no clock.

use core::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use hyper::Uri;

/// Parts of IPv4 that are not the public internet (RFC 6890), as network and prefix length.
const NOT_PUBLIC: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// What the configuration opens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Whether plain http may be used.
    pub http: bool,
    /// Hosts and networks that may be called although they are not public.
    pub allow: Vec<Opened>,
}

/// A host or network that may be called although it is not public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// A host by its name, whatever it resolves to but link-local addresses, where clouds keep their metadata.
    Host(String),
    /// A network: its address, and how many bits of it count.
    Network(IpAddr, u32),
}

/// Why a URL is not called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no URL of a webhook.
    #[error("the webhook's URL {0}")]
    Url(&'static str),
    /// It is not encrypted.
    #[error(
        "plain http is not used: write https://, or start the actuator with --webhook-allow-http"
    )]
    Plain,
    /// The address is not public.
    #[error("{host} is {address}, which is not public: --webhook-allow would have to name it")]
    NotPublic {
        /// The host.
        host: String,
        /// One of its addresses.
        address: IpAddr,
    },
}

/// A URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whether the connection is encrypted.
    pub encrypted: bool,
    /// Name or address of the host; of an IPv6 address without its brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// What the `Host` header says.
    pub authority: String,
    /// Path and query.
    pub path: String,
}

impl FromStr for Opened {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Network(address, bits(address)));
        }
        let Some((network, length)) = text.split_once('/') else {
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            let named = !text.is_empty() && text.chars().all(is_name);
            return named
                .then(|| Self::Host(text.to_ascii_lowercase()))
                .ok_or("neither a host, nor an address, nor a network such as 10.1.0.0/16");
        };
        let network: IpAddr = network.parse().map_err(|_| "the network is no address")?;
        let length: u32 = length
            .parse()
            .map_err(|_| "the prefix length is no number")?;
        if length > bits(network) {
            return Err("the prefix is longer than the address");
        }
        Ok(Self::Network(network, length))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.encrypted { "https" } else { "http" };
        // A query may hold what is nobody's business.
        let path = self.path.split('?').next().unwrap_or_default();
        write!(f, "{scheme}://{}{path}", self.authority)
    }
}

/// Takes a policy's URL apart, and turns down what can be told from its text alone.
///
/// # Errors
/// When it is not called, whatever its host resolves to.
pub fn place(url: &str, rules: &Rules) -> Result<Place, Refused> {
    let uri: Uri = url.parse().map_err(|_| Refused::Url("is not understood"))?;
    let encrypted = match uri.scheme_str() {
        Some("https") => true,
        Some("http") if rules.http => false,
        Some("http") => return Err(Refused::Plain),
        Some(_) | None => return Err(Refused::Url("is neither http nor https")),
    };
    let authority = uri.authority().ok_or(Refused::Url("names no host"))?;
    if authority.as_str().contains('@') {
        return Err(Refused::Url("holds a user or a password: use secretName"));
    }
    let host = authority.host();
    let host = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    if host.is_empty() {
        return Err(Refused::Url("names no host"));
    }
    let place = Place {
        encrypted,
        port: authority
            .port_u16()
            .unwrap_or(if encrypted { 443 } else { 80 }),
        authority: authority.as_str().to_owned(),
        path: uri
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .to_owned(),
        host,
    };
    if let Ok(address) = place.host.parse() {
        allowed(&place, address, rules)?;
    }
    Ok(place)
}

/// Allows an address that the host of `place` resolved to, or turns it down.
///
/// # Errors
/// When it is not public, and the configuration does not open it.
pub fn allowed(place: &Place, address: IpAddr, rules: &Rules) -> Result<(), Refused> {
    let real = real(address);
    let opened = rules.allow.iter().any(|opened| match opened {
        Opened::Host(name) => *name == place.host && !is_link_local(real),
        Opened::Network(network, length) => is_within(real, *network, *length),
    });
    if opened || is_public(real) {
        return Ok(());
    }
    Err(Refused::NotPublic {
        host: place.host.clone(),
        address,
    })
}

/// The IPv4 address that an IPv6 one stands for: mapped, translated (RFC 6052) or tunnelled (6to4).
fn real(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else {
        return address;
    };
    let four = |high: u16, low: u16| {
        let bits = (u32::from(high) << 16) | u32::from(low);
        IpAddr::V4(Ipv4Addr::from_bits(bits))
    };
    match six.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            four(high, low)
        }
        [0x2002, high, low, ..] => four(high, low),
        _ => IpAddr::V6(six),
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => {
            let mut parts = NOT_PUBLIC.iter();
            !parts.any(|(network, length)| is_within(address, IpAddr::V4(*network), *length))
        }
        IpAddr::V6(six) => {
            // Global unicast is 2000::/3; within it, documentation and Teredo are not the internet.
            let within =
                |network: Ipv6Addr, length| is_within(address, IpAddr::V6(network), length);
            within(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3)
                && !within(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23)
                && !within(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32)
                && !six.is_unspecified()
        }
    }
}

fn is_link_local(address: IpAddr) -> bool {
    let four = IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0));
    let six = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0));
    // Where AWS serves its metadata over IPv6.
    let aws = IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254));
    is_within(address, four, 16) || is_within(address, six, 10) || address == aws
}

const fn bits(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Whether the first `length` bits of an address are those of the network.
fn is_within(address: IpAddr, network: IpAddr, length: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differ = address.to_bits() ^ network.to_bits();
            differ.leading_zeros() >= length
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let differ = address.to_bits() ^ network.to_bits();
            differ.leading_zeros() >= length
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules(allow: &[&str]) -> Rules {
        let allow = allow.iter().map(|text| text.parse().unwrap()).collect();
        Rules { http: false, allow }
    }

    fn is_called(url: &str, address: &str, rules: &Rules) -> bool {
        let place = place(
            url,
            &Rules {
                http: true,
                allow: rules.allow.clone(),
            },
        );
        place.is_ok_and(|place| allowed(&place, address.parse().unwrap(), rules).is_ok())
    }

    #[test]
    fn what_is_not_public_is_not_called() {
        let nothing = Rules::default();
        for address in [
            "127.0.0.1",
            "0.0.0.0",
            "10.96.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.100.100.200",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00:ec2::254",
            "fc00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::169.254.169.254",
            "2002:7f00:1::",
            "2001:db8::1",
            "::127.0.0.1",
            "64:ff9b:1::1",
        ] {
            assert!(
                !is_called("https://hooks.example.com/x", address, &nothing),
                "{address}"
            );
        }
        for address in ["8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(
                is_called("https://hooks.example.com/x", address, &nothing),
                "{address}"
            );
        }
    }

    #[test]
    fn what_is_opened_is_called_and_nothing_beside_it() {
        let own = rules(&["10.1.0.0/16", "Hooks.Shop.svc"]);
        assert!(is_called("https://a.example.com", "10.1.2.3", &own));
        assert!(!is_called("https://a.example.com", "10.2.2.3", &own));
        assert!(is_called("https://hooks.shop.svc.", "10.96.3.4", &own));
        assert!(!is_called(
            "https://hooks.shop.svc.evil.com",
            "10.96.3.4",
            &own
        ));
        // a name that somebody points at the metadata is not opened with its name
        assert!(!is_called(
            "https://hooks.shop.svc",
            "169.254.169.254",
            &own
        ));
        assert!(is_called(
            "https://x",
            "169.254.169.254",
            &rules(&["169.254.169.254"])
        ));
        for text in ["10.0.0.0/33", "a b", "", "http://x", "10.0.0/8"] {
            assert!(text.parse::<Opened>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_url_is_taken_apart_or_turned_down() {
        let found = place(
            "https://Hooks.example.com:8443/a?token=s",
            &Rules::default(),
        )
        .unwrap();
        assert_eq!(
            (found.host.as_str(), found.port),
            ("hooks.example.com", 8443)
        );
        assert_eq!(found.path, "/a?token=s");
        assert_eq!(found.to_string(), "https://Hooks.example.com:8443/a");
        assert_eq!(
            place("http://x.com", &Rules::default()),
            Err(Refused::Plain)
        );
        for url in [
            "ftp://x.com",
            "x.com",
            "/only/a/path",
            "https://u:p@x.com",
            "https://10.0.0.1/",
            "https://[::1]:1/",
            "https://",
        ] {
            assert!(place(url, &Rules::default()).is_err(), "{url}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(url in ".{0,60}", opened in ".{0,30}") {
            let _place = place(&url, &Rules::default());
            let _opened = opened.parse::<Opened>();
        }

        #[test]
        fn a_mapped_address_is_judged_as_what_it_stands_for(four in any::<u32>()) {
            let four = Ipv4Addr::from_bits(four);
            let mapped = IpAddr::V6(four.to_ipv6_mapped());
            prop_assert_eq!(is_public(real(mapped)), is_public(IpAddr::V4(four)));
        }

        #[test]
        fn an_opened_network_holds_what_shares_its_prefix(address in any::<u32>(), flip in 0u32..32, length in 0u32..=32) {
            let network = Ipv4Addr::from_bits(address);
            let other = IpAddr::V4(Ipv4Addr::from_bits(address ^ (1 << flip)));
            prop_assert_eq!(is_within(other, IpAddr::V4(network), length), 31 - flip >= length);
        }
    }
}
