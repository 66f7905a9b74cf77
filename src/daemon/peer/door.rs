//! How is the peer called, how does it call, and with which key?

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustls::crypto::ring;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::alert::secret;
use crate::pair::talk::PeerSettings;
use crate::pair::talk::session::{Key, Nonce};

/// A call that is not answered within this time has failed.
const CALL_LIMIT: Duration = Duration::from_secs(4);

/// The next caller; none comes where nobody listens. Cancel safe.
pub(super) async fn accept(
    listener: Option<&TcpListener>,
) -> std::io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// Backlog of the listener: more than the peer ever has.
const BACKLOG: u32 = 16;

/// Listens there.
pub(super) fn listen(bind: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = socket_for(bind)?;
    // A director that starts anew is there at once.
    socket.set_reuseaddr(true)?;
    socket.bind(bind)?;
    socket.listen(BACKLOG)
}

/// Whether an address is one of this machine, as who listens there needs it; nobody is kept from
/// a port by asking.
pub(super) fn has_here(address: IpAddr) -> std::io::Result<()> {
    let any_port = SocketAddr::new(address, 0);
    socket_for(any_port)?.bind(any_port)
}

fn socket_for(address: SocketAddr) -> std::io::Result<TcpSocket> {
    match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }
}

/// Calls the peer, from the address at which it calls us.
pub(super) async fn call(address: SocketAddr, from: Option<IpAddr>) -> Result<TcpStream, String> {
    let calling = async {
        let socket = socket_for(address)?;
        if let Some(from) = from.filter(|from| from.is_ipv4() == address.is_ipv4()) {
            socket.bind(SocketAddr::new(from, 0))?;
        }
        socket.connect(address).await
    };
    match tokio::time::timeout(CALL_LIMIT, calling).await {
        Ok(called) => called.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", CALL_LIMIT.as_secs())),
    }
}

/// The shared key, as its file has it now.
pub(super) async fn read_key(settings: &PeerSettings) -> Result<Key, String> {
    let Some(path) = &settings.key else {
        return Err("there is no peer_key".to_owned());
    };
    let secret = secret::read(path).await?;
    let key = Key::new(secret.reveal().as_bytes());
    key.map_err(|why| format!("cannot use {}: {why}", path.display()))
}

/// A number that nobody can guess.
pub(super) fn nonce() -> Result<Nonce, String> {
    let mut nonce = [0; 32];
    let provider = ring::default_provider();
    let filled = provider.secure_random.fill(&mut nonce);
    filled.map_err(|_| "the system gives no random numbers".to_owned())?;
    Ok(nonce)
}
