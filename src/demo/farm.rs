//! The real servers of the demonstration: small HTTP servers on loopback addresses that can be
//! killed, broken and repaired.
//!
//! Not a web server: every complete request gets the same answer, then the connection ends.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The servers' addresses. All of 127.0.0.0/8 is this machine, without any set-up.
const ADDRESSES: [Ipv4Addr; 3] = [
    Ipv4Addr::new(127, 0, 0, 11),
    Ipv4Addr::new(127, 0, 0, 12),
    Ipv4Addr::new(127, 0, 0, 13),
];
/// Ports tried until one is free on all addresses; more than a few means that something is wrong.
const PORT_TRIES: usize = 20;
/// A request that has not ended by then is dropped: nobody but the checks asks here.
const REQUEST_LIMIT: Duration = Duration::from_secs(2);
/// The largest request that is read: a check sends some 100 bytes.
const REQUEST_MAX: usize = 8 * 1024;

/// What a server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Answers 200.
    Healthy,
    /// Answers 500.
    Broken,
    /// Its port is closed.
    Killed,
}

impl Mode {
    /// For the reader of the screen.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Healthy => "answers 200",
            Self::Broken => "answers 500",
            Self::Killed => "killed",
        }
    }
}

/// Three web servers on one port.
#[derive(Debug)]
pub(super) struct Farm {
    /// The port of all of them.
    pub(super) port: u16,
    servers: Vec<Server>,
    /// Ends the servers with the farm.
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Server {
    address: IpAddr,
    mode: watch::Sender<Mode>,
}

impl Farm {
    /// Starts the servers, all healthy.
    ///
    /// # Errors
    ///
    /// Where no port is free on all addresses.
    pub(super) async fn start() -> io::Result<Self> {
        let (port, listeners) = bind().await?;
        let mut tasks = JoinSet::new();
        let mut servers = Vec::new();
        for (address, listener) in ADDRESSES.into_iter().zip(listeners) {
            let (mode, modes) = watch::channel(Mode::Healthy);
            let address = IpAddr::V4(address);
            tasks.spawn(serve(SocketAddr::new(address, port), listener, modes));
            servers.push(Server { address, mode });
        }
        Ok(Self {
            port,
            servers,
            _tasks: tasks,
        })
    }

    /// Every server and what it does.
    pub(super) fn servers(&self) -> impl Iterator<Item = (IpAddr, Mode)> {
        self.servers
            .iter()
            .map(|server| (server.address, *server.mode.borrow()))
    }

    /// Makes the server at `address` behave so from now on.
    pub(super) fn set(&self, address: IpAddr, mode: Mode) {
        for server in &self.servers {
            if server.address == address {
                server.mode.send_replace(mode);
            }
        }
    }
}

/// Listens on one port of all addresses.
async fn bind() -> io::Result<(u16, Vec<TcpListener>)> {
    let mut last = io::Error::other("no port was tried");
    'port: for _ in 0..PORT_TRIES {
        let mut port = 0;
        let mut listeners = Vec::new();
        for address in ADDRESSES {
            match TcpListener::bind((address, port)).await {
                Ok(listener) => {
                    port = listener.local_addr()?.port();
                    listeners.push(listener);
                }
                Err(error) => {
                    last = error;
                    continue 'port;
                }
            }
        }
        return Ok((port, listeners));
    }
    Err(last)
}

/// One server, until its farm is dropped.
async fn serve(address: SocketAddr, first: TcpListener, mut modes: watch::Receiver<Mode>) {
    let mut listener = Some(first);
    let mut connections = JoinSet::new();
    loop {
        let mode = *modes.borrow_and_update();
        if mode == Mode::Killed {
            listener = None;
            connections.shutdown().await;
        } else if listener.is_none() {
            // The port was ours a moment ago; where it is gone the story says that nothing comes.
            listener = TcpListener::bind(address).await.ok();
        }
        // Each branch is cancel-safe: accept loses no connection, changed keeps its mark.
        tokio::select! {
            Ok((stream, _)) = accept(listener.as_ref()) => {
                connections.spawn(answer(stream, mode));
            }
            Some(_) = connections.join_next() => {}
            changed = modes.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// Answers one request. Errors are the other side's: it sees them itself.
async fn answer(mut stream: TcpStream, mode: Mode) {
    let (status, body) = match mode {
        Mode::Healthy => ("200 OK", "It works.\n"),
        Mode::Broken | Mode::Killed => ("500 Internal Server Error", "It does not.\n"),
    };
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let exchange = async {
        read_request(&mut stream).await?;
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await
    };
    let _ = tokio::time::timeout(REQUEST_LIMIT, exchange).await;
}

/// Reads to the empty line: a server that answers and closes before it resets the connection.
async fn read_request(stream: &mut TcpStream) -> io::Result<()> {
    let mut request: Vec<u8> = Vec::new();
    let mut piece = [0; 1024];
    while !request.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let length = stream.read(&mut piece).await?;
        if length == 0 || request.len() > REQUEST_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        request.extend(piece.iter().take(length));
    }
    Ok(())
}
