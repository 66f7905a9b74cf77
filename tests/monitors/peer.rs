//! Servers that behave badly, one thread for each connection.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A listener on loopback that ends with the test process.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Peer {
    /// Listens on 127.0.0.1 and talks as told with whoever connects.
    pub(crate) fn new(talk: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        Self::at(Ipv4Addr::LOCALHOST.into(), talk)
    }

    /// The same on another loopback address.
    pub(crate) fn at(address: IpAddr, talk: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((address, 0)).expect("a listener on loopback");
        let address = listener.local_addr().expect("its address");
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, talk) = (Arc::clone(&connections), Arc::new(talk));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, Ordering::SeqCst);
                let talk = Arc::clone(&talk);
                std::thread::spawn(move || talk(stream));
            }
        });
        Self {
            address,
            connections,
        }
    }

    /// Reads the head of a request, answers with these bytes, and closes.
    pub(crate) fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::new(move |mut stream| {
            head(&mut stream);
            say(&mut stream, &answer);
        })
    }

    pub(crate) fn port(&self) -> String {
        self.address.port().to_string()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Reads up to an empty line, as a server reads a request.
pub(crate) fn head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|length| length == 1) {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Writes, if somebody still listens.
pub(crate) fn say(stream: &mut impl Write, bytes: &[u8]) -> bool {
    stream
        .write_all(bytes)
        .and_then(|()| stream.flush())
        .is_ok()
}

/// Waits until the other side closes.
pub(crate) fn until_closed(stream: &mut TcpStream) {
    let mut rest = [0; 1_024];
    while stream.read(&mut rest).is_ok_and(|length| length > 0) {}
}

/// Rests for a moment; false when the other side has closed meanwhile.
pub(crate) fn rest(stream: &mut TcpStream, moment: Duration) -> bool {
    let mut byte = [0];
    stream
        .set_read_timeout(Some(moment))
        .expect("a time limit of reading");
    match stream.read(&mut byte) {
        Ok(length) => length > 0,
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

/// Sends byte by byte, for ever again from the start, until the other side closes.
pub(crate) fn drip(stream: &mut TcpStream, bytes: &[u8]) {
    for byte in bytes.iter().cycle() {
        if !say(stream, &[*byte]) || !rest(stream, Duration::from_millis(5)) {
            return;
        }
    }
}

/// Closes in a way that makes the kernel send a reset.
pub(crate) fn reset(stream: TcpStream) {
    // What the other side sent and nobody read turns the close into a reset; wait for it.
    let mut byte = [0];
    let _ = stream.peek(&mut byte);
    drop(stream);
}
