//! Who holds the idle connections that tell of a crash?
//!
//! One small task for each connection, none for a service at rest without `tripwire on`; the
//! engine bounds how many there are. A connection that cannot be made counts as one that ended:
//! the check that follows says what is wrong. What a server sends on it is read and dropped.
//!
//! One that is let go of is closed on our side, and its server's side waited for: a check that
//! wants it out of its way begins then.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::task::JoinSet;

use crate::clock::Stopwatch;
use crate::engine::event::{Wire, WireId};
use crate::monitor::dial::{Attempts, Trouble, addresses};
use crate::names::Names;

/// How long a connection may take to be made, name look-up included.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// What a server may send unasked, in bytes: a greeting. One that goes on is no idle connection.
const GREETING_MAX: usize = 16 * 1_024;

/// How long a server may take to close a connection that was let go of: a program that serves one
/// client has to end, a firewall to forget the connection. Most take no millisecond. Those that
/// never look at it hold up their checks by this, and what is noticed of a crash in between.
const NOTICED: Duration = Duration::from_millis(50);

/// The connections that are held.
#[derive(Debug)]
pub(super) struct Tripwire {
    wires: JoinSet<(WireId, End)>,
    held: BTreeMap<WireId, Held>,
    /// Let go of, and there still: each is closed when it is over.
    leaving: BTreeMap<WireId, oneshot::Receiver<()>>,
    names: Names,
    noticed: Duration,
}

/// The other ends of the task of one connection.
#[derive(Debug)]
struct Held {
    /// Dropped to let go of it.
    _let_go: oneshot::Sender<()>,
    /// Closed when it is over.
    over: oneshot::Receiver<()>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The server, or what lies between, ended it.
    Tripped,
    /// We did.
    LetGo,
}

impl Tripwire {
    pub(super) fn new(names: Names) -> Self {
        Self {
            wires: JoinSet::new(),
            held: BTreeMap::new(),
            leaving: BTreeMap::new(),
            names,
            noticed: NOTICED,
        }
    }

    /// Holds a connection until it ends or is let go of.
    pub(super) fn hold(&mut self, wire: Wire) {
        let id = wire.id;
        let (names, noticed) = (self.names_of(&wire), self.noticed);
        let (kept, let_go) = oneshot::channel();
        let (alive, over) = oneshot::channel();
        self.wires.spawn(async move {
            let end = hold(wire, names, let_go, noticed).await;
            drop::<oneshot::Sender<()>>(alive);
            (id, end)
        });
        let kept = Held {
            _let_go: kept,
            over,
        };
        self.held.insert(id, kept);
    }

    /// Those that go where it is to lead.
    fn names_of(&self, wire: &Wire) -> Names {
        let names = self.names.clone();
        match wire.lead.clone() {
            Some(lead) => names.led([(wire.host.as_str().into(), lead)].into()),
            None => names,
        }
    }

    /// Closes a connection; its end is not told, unless the server was first.
    pub(super) fn let_go(&mut self, id: WireId) {
        if let Some(held) = self.held.remove(&id) {
            self.leaving.insert(id, held.over);
        }
    }

    /// Ends when the servers have closed these too, which were let go of, or have had the time for
    /// it.
    pub(super) fn closed(&mut self, wires: &[WireId]) -> impl Future<Output = ()> + use<> {
        let leaving = wires.iter().filter_map(|id| self.leaving.remove(id));
        let leaving: Vec<oneshot::Receiver<()>> = leaving.collect();
        async move {
            for over in leaving {
                // Nothing is ever sent: the other end is dropped.
                let _ = over.await;
            }
        }
    }

    /// The next connection that ended; never ends while none is held. Cancel safe.
    pub(super) async fn ended(&mut self) -> WireId {
        loop {
            match self.wires.join_next().await {
                None => std::future::pending().await,
                Some(Ok((id, end))) => {
                    self.held.remove(&id);
                    self.leaving.remove(&id);
                    if end == End::Tripped {
                        return id;
                    }
                }
                // Nothing in it panics.
                Some(Err(_)) => {}
            }
        }
    }
}

/// Makes a connection after its wait, and holds it.
async fn hold(wire: Wire, names: Names, let_go: oneshot::Receiver<()>, noticed: Duration) -> End {
    let (host, port) = (wire.host.as_str(), wire.port);
    let finding = async {
        tokio::time::sleep(wire.wait).await;
        let watch = Stopwatch::start();
        let finding = tokio::time::timeout(CONNECT_LIMIT, addresses(host, &names)).await;
        let left = CONNECT_LIMIT.saturating_sub(watch.elapsed());
        Some(Attempts::new(finding.ok()?.ok()?, port, left))
    };
    let making = async |attempts: &mut Attempts| {
        let made = attempts.next().await?;
        Some(made.map(|(stream, _)| stream))
    };
    hold_found(finding, making, let_go, noticed).await
}

/// Waits until it is known where to connect to, makes the connection to the first address that
/// takes it, and waits for its end; an end that has come already counts before a wish to let go of
/// it. `making` tries the next address, and says that there is none left.
async fn hold_found<Found>(
    finding: impl Future<Output = Option<Found>>,
    mut making: impl AsyncFnMut(&mut Found) -> Option<Result<TcpStream, Trouble>>,
    mut let_go: oneshot::Receiver<()>,
    noticed: Duration,
) -> End {
    let found = tokio::select! { biased;
        // No server has heard of it: it is in nobody's way.
        _ = &mut let_go => return End::LetGo,
        found = finding => found,
    };
    let Some(mut found) = found else {
        return End::Tripped;
    };
    let mut stream = loop {
        let mut attempt = pin!(making(&mut found));
        tokio::select! { biased;
            made = &mut attempt => match made {
                Some(Ok(stream)) => break stream,
                // Whoever let go of it meanwhile waits for no other address.
                Some(Err(_)) if is_let_go(&mut let_go) => return End::LetGo,
                Some(Err(_)) => {}
                None => return End::Tripped,
            },
            _ = &mut let_go => {
                // The server may have it already, and sees its end as soon as it is made. Both have
                // one limit: the check has waited since then.
                let leaving = async {
                    if let Some(Ok(mut stream)) = attempt.await {
                        leave(&mut stream).await;
                    }
                };
                let _ = tokio::time::timeout(noticed, leaving).await;
                return End::LetGo;
            }
        }
    };
    tokio::select! { biased;
        () = until_its_end(&mut stream) => return End::Tripped,
        _ = let_go => {}
    }
    let _ = tokio::time::timeout(noticed, leave(&mut stream)).await;
    End::LetGo
}

/// Whether it was let go of: nothing is ever sent.
fn is_let_go(let_go: &mut oneshot::Receiver<()>) -> bool {
    let_go.try_recv() != Err(TryRecvError::Empty)
}

/// Closes it on our side, and waits until its server has closed it too.
async fn leave(stream: &mut TcpStream) {
    if stream.shutdown().await.is_ok() {
        until_its_end(stream).await;
    }
}

/// What the server sends is read and dropped, up to a limit.
async fn until_its_end(stream: &mut TcpStream) {
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
    use std::cell::Cell;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::lead::Lead;
    use crate::model::HostName;

    const SOON: Duration = Duration::from_secs(20);

    fn wire(id: u64, port: u16) -> Wire {
        Wire {
            id: WireId(id),
            host: HostName::new("127.0.0.1"),
            lead: None,
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

    /// What a client says, read beside the one who is it: 0 is its end.
    async fn read(stream: &TcpStream) -> usize {
        let mut stream = stream.try_clone().unwrap();
        let reading = move || std::io::Read::read(&mut stream, &mut [0; 8]).unwrap();
        tokio::task::spawn_blocking(reading).await.unwrap()
    }

    /// Whether it has ended, after everything else had its turn.
    async fn has_ended(future: &mut (impl Future<Output = ()> + Unpin)) -> bool {
        for _ in 0..100 {
            tokio::select! { biased;
                () = &mut *future => return true,
                () = tokio::task::yield_now() => {}
            }
        }
        false
    }

    #[test]
    fn one_that_was_let_go_of_is_out_of_the_way_when_its_server_has_closed_it_too() {
        with(async |tripwire| {
            tripwire.noticed = 2 * SOON;
            let (listener, port) = listen();
            tripwire.hold(wire(1, port));
            let (_listener, stream) = accept(listener).await;
            tripwire.let_go(WireId(1));
            let mut closed = Box::pin(tripwire.closed(&[WireId(1)]));
            assert_eq!(read(&stream).await, 0);
            assert!(!has_ended(&mut closed).await, "it is open at the server");
            drop(stream);
            closed.await;
        });
    }

    #[test]
    fn one_is_held_to_where_its_name_is_checked() {
        with(async |tripwire| {
            let (listener, port) = listen();
            tripwire.hold(Wire {
                // No name can be: whoever looks it up connects to nothing.
                host: HostName::new("w/1"),
                lead: Some(Lead::To(vec![[127, 0, 0, 1].into()])),
                ..wire(1, port)
            });
            let (_listener, stream) = accept(listener).await;
            tripwire.let_go(WireId(1));
            assert_eq!(read(&stream).await, 0);
        });
    }

    #[test]
    fn one_that_nobody_has_begun_to_make_is_in_nobodys_way() {
        with(async |tripwire| {
            tripwire.noticed = 2 * SOON;
            let (listener, port) = listen();
            // A good check asks for it, and another one begins in the same moment.
            tripwire.hold(wire(1, port));
            tripwire.let_go(WireId(1));
            tripwire.closed(&[WireId(1)]).await;
            listener.set_nonblocking(true).unwrap();
            assert!(listener.accept().is_err(), "none was made");
        });
    }

    #[test]
    fn none_is_begun_when_it_was_let_go_of_while_its_name_was_looked_up() {
        with(async |_| {
            let (found, finding) = oneshot::channel::<()>();
            let (kept, let_go) = oneshot::channel();
            let begun = Cell::new(false);
            let making = async |(): &mut ()| {
                begun.set(true);
                std::future::pending().await
            };
            let finding = async { finding.await.ok() };
            let mut over = Box::pin(async {
                let end = hold_found(finding, making, let_go, 2 * SOON).await;
                assert_eq!(end, End::LetGo);
            });
            assert!(!has_ended(&mut over).await, "its name is looked up");
            // Both in the same moment.
            drop::<oneshot::Sender<()>>(kept);
            found.send(()).unwrap();
            assert!(has_ended(&mut over).await, "no server has heard of it");
            assert!(!begun.get());
        });
    }

    #[test]
    fn one_that_is_being_made_is_out_of_the_way_when_its_server_has_closed_it() {
        with(async |_| {
            let (listener, port) = listen();
            let connecting = tokio::net::TcpStream::connect(("127.0.0.1", port));
            let ((_listener, server), stream) = tokio::join!(accept(listener), connecting);
            let (made, making) = oneshot::channel();
            let (kept, let_go) = oneshot::channel();
            let mut over = Box::pin(async {
                let one = async |making: &mut oneshot::Receiver<_>| making.await.ok().map(Ok);
                let end = hold_found(async { Some(making) }, one, let_go, 2 * SOON).await;
                assert_eq!(end, End::LetGo);
            });
            assert!(!has_ended(&mut over).await, "it is being made");
            drop::<oneshot::Sender<()>>(kept);
            assert!(!has_ended(&mut over).await, "it may be at the server");
            made.send(stream.unwrap()).unwrap();
            assert!(!has_ended(&mut over).await, "it is open at the server");
            assert_eq!(read(&server).await, 0);
            drop(server);
            over.await;
        });
    }

    #[test]
    fn no_further_address_is_tried_for_one_that_was_let_go_of() {
        for let_go_first in [true, false] {
            with(async |_| {
                let (failed, failing) = oneshot::channel();
                let (kept, let_go) = oneshot::channel();
                let begun = Cell::new(0);
                let attempt = async |failing: &mut Option<oneshot::Receiver<Trouble>>| {
                    begun.set(begun.get() + 1);
                    match failing.take() {
                        Some(failing) => failing.await.ok().map(Err),
                        None => std::future::pending().await,
                    }
                };
                let mut over = Box::pin(async {
                    let finding = async { Some(Some(failing)) };
                    let end = hold_found(finding, attempt, let_go, 2 * SOON).await;
                    assert_eq!(end, End::LetGo);
                });
                assert!(!has_ended(&mut over).await, "the first address is tried");
                if let_go_first {
                    drop::<oneshot::Sender<()>>(kept);
                    assert!(!has_ended(&mut over).await, "its server may have it");
                    failed.send(Trouble::unknown("no route")).unwrap();
                } else {
                    // Both in the same moment.
                    failed.send(Trouble::unknown("no route")).unwrap();
                    drop::<oneshot::Sender<()>>(kept);
                }
                assert!(
                    has_ended(&mut over).await,
                    "no server has it: {let_go_first}"
                );
                assert_eq!(begun.get(), 1, "{let_go_first}");
            });
        }
    }

    #[test]
    fn a_server_that_does_not_close_is_waited_for_a_while_only() {
        let (took, leaving) = with(async |tripwire| {
            let (listener, port) = listen();
            tripwire.hold(wire(1, port));
            let (_listener, stream) = accept(listener).await;
            let watch = crate::clock::Stopwatch::start();
            tripwire.let_go(WireId(1));
            tripwire.closed(&[WireId(1)]).await;
            assert_eq!(read(&stream).await, 0);
            (watch.elapsed(), tripwire.leaving.len())
        });
        assert!(took >= NOTICED, "{took:?}");
        assert_eq!(leaving, 0);
    }

    /// Ends a connection with RST in place of FIN.
    fn reset(stream: TcpStream) {
        stream.set_nonblocking(true).unwrap();
        let stream = tokio::net::TcpStream::from_std(stream).unwrap();
        stream.set_zero_linger().unwrap();
    }

    #[test]
    fn the_reset_of_a_connection_is_told_like_its_end() {
        let ended = with(async |tripwire| {
            let (listener, port) = listen();
            let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (listener, stream) = accept(listener).await;
            reset(stream);
            let why = std::io::Read::read(&mut client, &mut [0]).unwrap_err();
            assert_eq!(why.kind(), std::io::ErrorKind::ConnectionReset);
            tripwire.hold(wire(1, port));
            let (_listener, stream) = accept(listener).await;
            reset(stream);
            tripwire.ended().await
        });
        assert_eq!(ended, WireId(1));
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
            let (listener, stream) = accept(listener).await;
            tripwire.let_go(WireId(1));
            assert_eq!(read(&stream).await, 0);
            drop(stream);
            drop(listener);
            tripwire.hold(wire(2, port));
            tripwire.ended().await
        });
        assert_eq!(ended, WireId(2));
    }
}
