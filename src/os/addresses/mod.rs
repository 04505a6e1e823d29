//! The kernel's routing: links, addresses, routes and neighbours, by rtnetlink(7).
//!
//! What is heard says only "look again". It is left in the socket until somebody wants to know, and is never read: a
//! storm costs what the socket holds, and what does not fit is told by the kernel as an overrun, which is one more
//! hint.

mod found;
mod netlink;
mod sight;

use std::io;
use std::net::IpAddr;

use rtnetlink::MulticastGroup;
use rtnetlink::packet_route::link::LinkMessage;
use rtnetlink::packet_route::neighbour::NeighbourMessage;
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use rtnetlink::packet_route::rule::RuleMessage;
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage, address::AddressMessage};
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{AsyncSocket, AsyncSocketExt, SocketAddr as NetlinkAddress, TokioSocket};
use rustix::io::Errno;

pub use self::sight::{AddressesSight, Gateway};

use self::found::Found;
use self::netlink::Questions;

/// Why the kernel's routing could not be used.
#[derive(Debug, thiserror::Error)]
pub enum AddressesError {
    /// The kernel gave no socket.
    #[error("open a socket to the kernel's routing")]
    Open(#[source] io::Error),
    /// The socket broke.
    #[error("listen to the kernel's routing")]
    Listen(#[source] io::Error),
    /// The kernel did not tell.
    #[error("ask the kernel for its {0}")]
    Ask(&'static str, #[source] io::Error),
}

/// Why there is no route to an address.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// No route leads there, or one that forbids it.
    #[error("find a route to {0}")]
    Unreachable(IpAddr),
    /// The kernel did not tell.
    #[error("ask the kernel for the route to {0}")]
    Ask(IpAddr, #[source] io::Error),
}

/// How packets to an address leave this machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteSight {
    /// The interface; `None` if the kernel names none.
    pub interface: Option<String>,
    /// Another one when they leave by another gateway, from another address, or the interface went and came.
    pub mark: String,
}

/// How packets to this address leave this machine, now.
pub async fn route_to(address: IpAddr) -> Result<RouteSight, RouteError> {
    let ask = |error| RouteError::Ask(address, error);
    let mut kernel = Questions::open().map_err(ask)?;
    let mut question = RouteMessage::default();
    (question.header.address_family, question.header.destination_prefix_length) = match address {
        IpAddr::V4(_) => (AddressFamily::Inet, 32),
        IpAddr::V6(_) => (AddressFamily::Inet6, 128),
    };
    question.attributes.push(RouteAttribute::Destination(RouteAddress::from(address)));
    let route = match kernel.get(RouteNetlinkMessage::GetRoute(question)).await {
        Ok(RouteNetlinkMessage::NewRoute(route)) => route,
        Ok(_) => return Err(ask(io::ErrorKind::InvalidData.into())),
        // ip-route(8): what the types unreachable, prohibit and blackhole answer.
        Err(error) => {
            return Err(match Errno::from_io_error(&error) {
                Some(Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::ACCESS | Errno::INVAL) => {
                    RouteError::Unreachable(address)
                }
                Some(_) | None => ask(error),
            });
        }
    };
    if matches!(route.header.kind, RouteType::Unreachable | RouteType::Prohibit | RouteType::BlackHole) {
        return Err(RouteError::Unreachable(address));
    }
    let way = found::way(&route);
    let Some(index) = found::interface(&route.attributes) else { return Ok(RouteSight { interface: None, mark: way }) };
    let mut question = LinkMessage::default();
    question.header.index = index;
    match kernel.get(RouteNetlinkMessage::GetLink(question)).await {
        Ok(RouteNetlinkMessage::NewLink(link)) => Ok(RouteSight {
            interface: found::name(&link).map(str::to_owned),
            mark: format!("{way} {:?}", found::came_up(&link)),
        }),
        Ok(_) => Ok(RouteSight::default()),
        // It went away between the two questions.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NODEV) => Ok(RouteSight::default()),
        Err(error) => Err(ask(error)),
    }
}

/// Looks at the kernel's routing.
pub async fn look() -> Result<AddressesSight, AddressesError> {
    let mut kernel = Questions::open().map_err(AddressesError::Open)?;
    let mut found = Found::default();
    let mut take = |message| found.take(message);
    let link = RouteNetlinkMessage::GetLink(LinkMessage::default());
    kernel.dump(link, &mut take).await.map_err(|error| AddressesError::Ask("links", error))?;
    let address = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    kernel.dump(address, &mut take).await.map_err(|error| AddressesError::Ask("addresses", error))?;
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut route = RouteMessage::default();
        route.header.address_family = family;
        // A kernel without IPv6 knows no such routes.
        let routes = kernel.dump(RouteNetlinkMessage::GetRoute(route), &mut take).await;
        routes.or_else(none_of_that_family).map_err(|error| AddressesError::Ask("routes", error))?;
        let mut rule = RuleMessage::default();
        rule.header.family = family;
        let rules = kernel.dump(RouteNetlinkMessage::GetRule(rule), &mut take).await;
        rules.or_else(none_of_that_family).map_err(|error| AddressesError::Ask("rules", error))?;
    }
    let neighbour = RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default());
    kernel.dump(neighbour, &mut take).await.map_err(|error| AddressesError::Ask("neighbours", error))?;
    Ok(found.sight())
}

fn none_of_that_family(error: io::Error) -> io::Result<()> {
    match Errno::from_io_error(&error) {
        Some(Errno::OPNOTSUPP | Errno::AFNOSUPPORT) => Ok(()),
        Some(_) | None => Err(error),
    }
}

/// An ear at the kernel's routing.
pub struct Ear {
    socket: TokioSocket,
    neighbours: Neighbours,
    scratch: Vec<u8>,
}

/// Whether changes of neighbours are heard. With ordinary traffic there is one every few seconds, so that they are
/// heard only while the hardware address of a gateway is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neighbours {
    /// They are heard.
    Heard,
    /// They are not.
    Ignored,
}

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Something changed.
    Change,
    /// More changed than the socket could hold, so that the kernel dropped some of it.
    Overrun,
}

/// The groups of messages that are listened to.
const GROUPS: [MulticastGroup; 7] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Ipv4Rule,
    MulticastGroup::Ipv6Rule,
];

impl Ear {
    /// Begins to listen. What happens from now on is heard.
    pub fn open() -> Result<Self, AddressesError> {
        let mut socket = TokioSocket::new(NETLINK_ROUTE).map_err(AddressesError::Open)?;
        let netlink = socket.socket_mut();
        netlink.bind(&NetlinkAddress::new(0, 0)).map_err(AddressesError::Open)?;
        for group in GROUPS {
            netlink.add_membership(number(group)).map_err(AddressesError::Open)?;
        }
        // Room for a hint is all that is needed; the bytes of a message that do not fit are thrown away.
        Ok(Self { socket, neighbours: Neighbours::Ignored, scratch: Vec::with_capacity(64) })
    }

    /// Begins to listen, with this many bytes for the socket.
    pub fn open_with(receive_buffer: i32) -> Result<Self, AddressesError> {
        let ear = Self::open()?;
        ear.socket.socket_ref().set_rx_buf_sz(receive_buffer).map_err(AddressesError::Open)?;
        Ok(ear)
    }

    /// Begins or ends to hear changes of neighbours.
    pub fn set_neighbours(&mut self, wanted: Neighbours) -> Result<(), AddressesError> {
        if self.neighbours == wanted {
            return Ok(());
        }
        let (socket, group) = (self.socket.socket_ref(), number(MulticastGroup::Neigh));
        let done = match wanted {
            Neighbours::Heard => socket.add_membership(group),
            Neighbours::Ignored => socket.drop_membership(group),
        };
        done.map_err(AddressesError::Listen)?;
        self.neighbours = wanted;
        Ok(())
    }

    /// Waits until something is heard. Dropping the future loses nothing.
    pub async fn hear(&mut self) -> Result<Heard, AddressesError> {
        self.scratch.clear();
        heard(self.socket.recv(&mut self.scratch).await)
    }

    /// Takes what else was said so far, up to `most` messages, before a look: it would only lead to one more.
    pub fn drain(&mut self, most: usize) -> Result<(), AddressesError> {
        for _ in 0..most {
            self.scratch.clear();
            match self.socket.socket_ref().recv(&mut self.scratch, 0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                result => heard(result.map(drop))?,
            };
        }
        Ok(())
    }
}

fn heard(received: io::Result<()>) -> Result<Heard, AddressesError> {
    match received {
        Ok(()) => Ok(Heard::Change),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NOBUFS) => Ok(Heard::Overrun),
        Err(error) => Err(AddressesError::Listen(error)),
    }
}

#[expect(clippy::as_conversions, reason = "an enum of the kernel's own numbers, with no other way to them")]
fn number(group: MulticastGroup) -> u32 {
    group as u32
}
