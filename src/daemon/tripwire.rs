//! Who holds the idle connections that tell of a crash?
//!
//! One small task for each connection, none for a service at rest without `tripwire on`; the
//! engine bounds how many there are. A connection that cannot be made counts as one that ended:
//! the check that follows says what is wrong. What a server sends on it is read and dropped.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::engine::event::{Wire, WireId};
use crate::monitor::dial::connect;
use crate::names::Names;

/// How long a connection may take to be made, name look-up included.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// What a server may send unasked, in bytes: a greeting. One that goes on is no idle connection.
const GREETING_MAX: usize = 16 * 1_024;

/// The connections that are held.
#[derive(Debug)]
pub(super) struct Tripwire {
    /// Each answers with its number where the connection ended, and not where it was let go of.
    wires: JoinSet<Option<WireId>>,
    /// Whose end is dropped is let go of.
    held: BTreeMap<WireId, oneshot::Sender<()>>,
    names: Names,
}

impl Tripwire {
    pub(super) fn new(names: Names) -> Self {
        Self {
            wires: JoinSet::new(),
            held: BTreeMap::new(),
            names,
        }
    }

    /// Holds a connection until it ends or is let go of.
    pub(super) fn hold(&mut self, wire: Wire) {
        let id = wire.id;
        let names = self.names.clone();
        let (kept, let_go) = oneshot::channel();
        self.wires.spawn(async move {
            // An end that has come already is told all the same.
            tokio::select! { biased;
                () = hold(wire, names) => Some(id),
                _ = let_go => None,
            }
        });
        self.held.insert(id, kept);
    }

    /// Closes a connection; its end is not told, unless the server was first.
    pub(super) fn let_go(&mut self, id: WireId) {
        self.held.remove(&id);
    }

    /// The next connection that ended; never ends while none is held. Cancel safe.
    pub(super) async fn ended(&mut self) -> WireId {
        loop {
            match self.wires.join_next().await {
                None => std::future::pending().await,
                Some(Ok(Some(id))) => {
                    self.held.remove(&id);
                    return id;
                }
                // Let go of; nothing in it panics.
                Some(Ok(None) | Err(_)) => {}
            }
        }
    }
}

async fn hold(wire: Wire, names: Names) {
    tokio::time::sleep(wire.wait).await;
    let connecting = connect(wire.host.as_str(), wire.port, CONNECT_LIMIT, &names);
    let Ok(Ok((mut stream, _))) = tokio::time::timeout(CONNECT_LIMIT, connecting).await else {
        return;
    };
    // Small: it lives as long as the connection.
    let mut heard = [0; 64];
    let mut room = GREETING_MAX;
    while let Ok(length) = stream.read(&mut heard).await
        && length > 0
        && room > 0
    {
        room = room.saturating_sub(length);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::model::HostName;

    const SOON: Duration = Duration::from_secs(20);

    fn wire(id: u64, port: u16) -> Wire {
        Wire {
            id: WireId(id),
            host: HostName::new("127.0.0.1"),
            port,
            wait: Duration::ZERO,
        }
    }

    fn listen() -> (TcpListener, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    /// Does something with held connections, in time.
    fn with<T>(test: impl AsyncFnOnce(&mut Tripwire) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut tripwire = Tripwire::new(Names::default());
            tokio::time::timeout(SOON, test(&mut tripwire))
                .await
                .unwrap()
        })
    }

    /// Waits for a connection beside the one who makes it.
    async fn accept(listener: TcpListener) -> (TcpListener, TcpStream) {
        let accepting = tokio::task::spawn_blocking(|| {
            let (stream, _) = listener.accept().unwrap();
            (listener, stream)
        });
        accepting.await.unwrap()
    }

    #[test]
    fn the_end_of_a_connection_is_told_and_a_greeting_is_none() {
        let (first, second) = with(async |tripwire| {
            let (one, port_of_one) = listen();
            let (two, port_of_two) = listen();
            tripwire.hold(wire(1, port_of_one));
            tripwire.hold(wire(2, port_of_two));
            let (_one, mut greeted) = accept(one).await;
            greeted.write_all(b"220 hello\r\n").unwrap();
            let (_two, closed) = accept(two).await;
            drop(closed);
            let first = tripwire.ended().await;
            drop(greeted);
            (first, tripwire.ended().await)
        });
        assert_eq!((first, second), (WireId(2), WireId(1)));
    }

    #[test]
    fn one_that_cannot_be_made_or_talks_for_ever_has_ended() {
        let ended = with(async |tripwire| {
            let (listener, port) = listen();
            drop(listener);
            tripwire.hold(wire(1, port));
            let first = tripwire.ended().await;
            let (talker, port) = listen();
            tripwire.hold(wire(2, port));
            let (_talker, mut stream) = accept(talker).await;
            std::thread::spawn(move || while stream.write_all(&[b'x'; 1_024]).is_ok() {});
            [first, tripwire.ended().await]
        });
        assert_eq!(ended, [WireId(1), WireId(2)]);
    }

    #[test]
    fn one_that_was_let_go_of_is_closed_and_not_told() {
        let ended = with(async |tripwire| {
            let (listener, port) = listen();
            tripwire.hold(wire(1, port));
            let (listener, mut stream) = accept(listener).await;
            tripwire.let_go(WireId(1));
            let closed = tokio::task::spawn_blocking(move || {
                std::io::Read::read(&mut stream, &mut [0; 8]).unwrap_or(0)
            });
            assert_eq!(closed.await.unwrap(), 0);
            drop(listener);
            tripwire.hold(wire(2, port));
            tripwire.ended().await
        });
        assert_eq!(ended, WireId(2));
    }
}
