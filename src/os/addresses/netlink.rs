//! Questions to the kernel's routing, one after another on a socket of their own. An answer is read as it comes, so
//! that a long one costs no memory.

use std::io;

use rtnetlink::packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket};

/// The longest datagram of an answer (the kernel's own limit is half of it).
const DATAGRAM: usize = 64 << 10;

/// The length of a message's header, in bytes.
const HEADER: usize = 16;

/// A socket for questions.
pub(super) struct Questions {
    socket: TokioSocket,
    buffer: Vec<u8>,
    sequence: u32,
}

impl Questions {
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
        socket.socket_mut().bind_auto()?;
        socket.socket_mut().connect(&SocketAddr::new(0, 0))?;
        Ok(Self { socket, buffer: Vec::with_capacity(DATAGRAM), sequence: 0 })
    }

    /// Asks for one thing.
    pub(super) async fn get(&mut self, question: RouteNetlinkMessage) -> io::Result<RouteNetlinkMessage> {
        self.send(question, NLM_F_REQUEST).await?;
        let mut answer = None;
        while answer.is_none() {
            self.receive(|message| answer = Some(message)).await?;
        }
        answer.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Asks for all things of a kind, and hands them over one by one.
    pub(super) async fn dump(
        &mut self,
        question: RouteNetlinkMessage,
        mut take: impl FnMut(RouteNetlinkMessage),
    ) -> io::Result<()> {
        self.send(question, NLM_F_REQUEST | NLM_F_DUMP).await?;
        while self.receive(&mut take).await? == Rest::Follows {}
        Ok(())
    }

    async fn send(&mut self, question: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = NetlinkMessage::from(question);
        message.header.flags = flags;
        message.header.sequence_number = self.sequence;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes).await.map(drop)
    }

    /// Takes one datagram, which may hold several messages.
    async fn receive(&mut self, mut take: impl FnMut(RouteNetlinkMessage)) -> io::Result<Rest> {
        self.buffer.clear();
        self.socket.recv(&mut self.buffer).await?;
        let mut rest = self.buffer.as_slice();
        while let Some((length, bytes)) = first_message(rest) {
            // A message that makes no sense to the library is one thing less that is known, and no reason to know
            // nothing.
            if let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes)
                && message.header.sequence_number == self.sequence
            {
                match message.payload {
                    NetlinkPayload::InnerMessage(message) => take(message),
                    NetlinkPayload::Done(_) => return Ok(Rest::None),
                    NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                    NetlinkPayload::Error(_) | NetlinkPayload::Noop | NetlinkPayload::Overrun(_) | _ => {}
                }
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(Rest::Follows)
    }
}

/// Whether more datagrams belong to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Follows,
    None,
}

/// The first message in a datagram, and how far it is to the next: each begins with its length, and at a multiple of
/// four bytes.
fn first_message(datagram: &[u8]) -> Option<(usize, &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(*datagram.first_chunk()?)).ok()?;
    if length < HEADER {
        return None;
    }
    Some((length.next_multiple_of(4), datagram.get(..length)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_taken_apart_and_a_broken_one_ends() {
        let mut datagram = vec![0; 17];
        datagram[..4].copy_from_slice(&17_u32.to_ne_bytes());
        assert_eq!(first_message(&datagram), Some((20, &datagram[..])));
        assert_eq!(first_message(&datagram[..16]), None, "it is cut off");
        assert_eq!(first_message(&datagram[..3]), None);
        datagram[..4].copy_from_slice(&0_u32.to_ne_bytes());
        assert_eq!(first_message(&datagram), None, "a message without a length would go on for ever");
    }
}
