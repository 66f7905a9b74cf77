//! A kernel made up of one task: the protocol of user space (`NETLINK_USERSOCK`) carries
//! datagrams between two ordinary sockets, which needs no right and no IPVS. The kernel itself
//! is asked in `tests/ipvs`; here it does what a real one does once in a year.

use std::sync::{Arc, Mutex};

use netlink_sys::protocols::NETLINK_USERSOCK;

use super::*;
use crate::lvs::{
    Family, Forwarding, RealServer, RealServerKey, Scheduler, Table, VirtualService, Weight,
};

const FAMILY: u16 = 0x1c;
/// Nothing but a made-up kernel that keeps silent is waited for as long.
const LIMIT: Duration = Duration::from_millis(100);
/// For answers that do come, on a machine that is busy.
const PATIENT: Duration = Duration::from_secs(30);

/// `NLMSG_ERROR`, `NLMSG_DONE`, `NLMSG_OVERRUN`
const ERROR: u16 = 2;
const DONE: u16 = 3;
const OVERRUN: u16 = 4;
/// `NLM_F_DUMP_INTR`
const INTERRUPTED: u16 = 0x10;

/// A question to the made-up kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Family,
    Services,
    Servers,
    Change,
}

/// Starts a kernel. Of the question, its number and how often it was asked before, `answer`
/// makes the datagrams to send. Answers with the way to it and with what it was asked.
fn kernel(
    limit: Duration,
    mut answer: impl FnMut(Asked, u32, usize) -> Vec<Vec<u8>> + Send + 'static,
) -> (Netlink, Arc<Mutex<Vec<Asked>>>) {
    let mut socket = TokioSocket::new(NETLINK_USERSOCK).unwrap();
    let port = socket.socket_mut().bind_auto().unwrap().port_number();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let mut bytes = Vec::with_capacity(65_536);
            let from = socket.recv_from(&mut bytes).await.unwrap();
            let question = match (bytes[4], bytes[16]) {
                (0x10, _) => Asked::Family,
                (_, 4) => Asked::Services,
                (_, 8) => Asked::Servers,
                _ => Asked::Change,
            };
            let sequence = u32::from_ne_bytes(bytes[8..12].try_into().unwrap());
            let times = {
                let mut noted = noted.lock().unwrap();
                noted.push(question);
                noted.iter().filter(|it| **it == question).count() - 1
            };
            let datagrams = match question {
                Asked::Family => vec![family(sequence)],
                Asked::Services | Asked::Servers | Asked::Change => {
                    answer(question, sequence, times)
                }
            };
            for datagram in datagrams {
                socket.send_to(&datagram, &from).await.unwrap();
            }
        }
    });
    let netlink = Netlink {
        kernel: Kernel {
            protocol: NETLINK_USERSOCK,
            port,
            limit,
        },
        link: None,
        room: BUFFER_START,
    };
    (netlink, asked)
}

/// A message of the kernel itself: its kind, flags and number, and an errno.
fn word(kind: u16, flags: u16, sequence: u32, code: i32) -> Vec<u8> {
    let mut out = 20_u32.to_ne_bytes().to_vec();
    out.extend(kind.to_ne_bytes());
    out.extend(flags.to_ne_bytes());
    out.extend(sequence.to_ne_bytes());
    out.extend([0; 4]);
    out.extend(code.to_ne_bytes());
    out
}

fn family(sequence: u32) -> Vec<u8> {
    let mut out = 28_u32.to_ne_bytes().to_vec();
    out.extend([0x10, 0, 0, 0]);
    out.extend(sequence.to_ne_bytes());
    out.extend([0; 4]);
    out.extend([1, 2, 0, 0]);
    out.extend([6, 0, 1, 0]);
    out.extend(FAMILY.to_ne_bytes());
    out.extend([0, 0]);
    out.extend(word(ERROR, 0, sequence, 0));
    out
}

fn web(port: u16) -> VirtualServiceKey {
    format!("10.0.0.3:{port}/tcp").parse().unwrap()
}

/// A part of a dump; an answer says what the change that makes the entry says.
fn part(sequence: u32, command: &Command, flags: u16) -> Vec<u8> {
    let mut out = codec::command_request(FAMILY, sequence, command);
    out[6..8].copy_from_slice(&flags.to_ne_bytes());
    out
}

fn service(sequence: u32, port: u16, flags: u16) -> Vec<u8> {
    let settings = VirtualService::plain(Family::V4, Scheduler::wlc());
    part(sequence, &Command::AddService(web(port), settings), flags)
}

fn server(sequence: u32, last: u8, flags: u16) -> Vec<u8> {
    let server = RealServerKey(format!("192.168.0.{last}:80").parse().unwrap());
    let settings = RealServer::new(Forwarding::Dr, Weight(5));
    let add = Command::AddServer(web(80), server, settings);
    part(sequence, &add, flags)
}

fn done(sequence: u32) -> Vec<u8> {
    word(DONE, 0, sequence, 0)
}

/// The last numbers of the real servers in the one virtual service.
fn servers(table: &Table) -> Vec<u8> {
    let last = |key: &RealServerKey| match key.0.ip() {
        std::net::IpAddr::V4(address) => address.octets()[3],
        std::net::IpAddr::V6(_) => 0,
    };
    table[&web(80)].servers.keys().map(last).collect()
}

#[tokio::test]
async fn a_kernel_that_does_not_answer_is_given_up_and_asked_anew() {
    let (mut netlink, asked) = kernel(LIMIT, |asked, sequence, times| match (asked, times) {
        (Asked::Services, 0) | (Asked::Change, 0) => Vec::new(),
        (Asked::Services, _) => vec![[service(sequence, 80, 0), done(sequence)].concat()],
        _ => vec![word(DONE, 0, sequence, 0)],
    });
    let refusal = netlink.look(&|_| true).await.unwrap_err();
    assert_eq!(refusal, IpvsRefusal::TimedOut(LIMIT));
    assert!(refusal.is_general());
    netlink.kernel.limit = PATIENT;
    assert_eq!(netlink.look(&|_| true).await.unwrap().table.len(), 1);
    // What may still come for the question that was given up finds its socket closed.
    let families = |asked: &[Asked]| asked.iter().filter(|it| **it == Asked::Family).count();
    assert_eq!(families(&asked.lock().unwrap()), 2);
}

#[tokio::test]
async fn a_change_that_is_not_answered_is_given_up() {
    let (mut netlink, _) = kernel(LIMIT, |_, _, _| Vec::new());
    let delete = Command::DeleteService(web(80));
    let refusal = netlink.apply(&delete).await.unwrap_err();
    assert_eq!(refusal, IpvsRefusal::TimedOut(LIMIT));
}

#[tokio::test]
async fn a_dump_that_a_change_disturbed_is_asked_for_again() {
    let (mut netlink, asked) = kernel(PATIENT, |asked, sequence, times| {
        let (parts, flags) = match (asked, times) {
            (Asked::Services, _) => (vec![service(sequence, 80, 0)], 0),
            // The first reading misses a real server, and the last part says why.
            (_, 0) => (vec![server(sequence, 1, 0)], INTERRUPTED),
            // The second says so in a part.
            (_, 1) => (vec![server(sequence, 2, INTERRUPTED)], 0),
            _ => (vec![server(sequence, 1, 0), server(sequence, 2, 0)], 0),
        };
        let mut datagrams = parts;
        datagrams.push(word(DONE, flags, sequence, 0));
        datagrams
    });
    let table = netlink.look(&|_| true).await.unwrap().table;
    assert_eq!(servers(&table), [1, 2]);
    let dump = [Asked::Servers; 3];
    assert_eq!(asked.lock().unwrap()[2..], dump);
}

#[tokio::test]
async fn a_table_that_never_stands_still_is_no_table() {
    let (mut netlink, asked) = kernel(PATIENT, |_, sequence, _| {
        let end = word(DONE, INTERRUPTED, sequence, 0);
        vec![[service(sequence, 80, 0), end].concat()]
    });
    let refusal = netlink.look(&|_| true).await.unwrap_err();
    assert_eq!(refusal, IpvsRefusal::KeepsChanging(DUMP_TRIES));
    assert!(!refusal.is_general());
    assert_eq!(asked.lock().unwrap().len(), 6);
}

#[tokio::test]
async fn the_buffer_grows_until_a_datagram_fits() {
    let (mut netlink, _) = kernel(PATIENT, |asked, sequence, _| match asked {
        Asked::Services => vec![[service(sequence, 80, 0), done(sequence)].concat()],
        Asked::Family | Asked::Servers | Asked::Change => {
            let parts = (1..=200).flat_map(|last| server(sequence, last, 0));
            vec![parts.collect(), done(sequence)]
        }
    });
    netlink.room = 512;
    let table = netlink.look(&|_| true).await.unwrap().table;
    assert_eq!(servers(&table), (1..=200).collect::<Vec<u8>>());
    // 200 real servers of 140 bytes.
    assert_eq!(netlink.room, 32 * 1024);
}

#[tokio::test]
async fn an_answer_to_a_change_that_does_not_fit_is_said() {
    let (mut netlink, _) = kernel(PATIENT, |_, sequence, _| {
        let parts = (1..=200).flat_map(|last| server(sequence, last, 0));
        vec![parts.collect(), done(sequence)]
    });
    // A change is answered with a few bytes; it is not asked for again with a larger buffer.
    netlink.room = 512;
    let delete = Command::DeleteService(web(80));
    let refusal = netlink.apply(&delete).await.unwrap_err();
    assert_eq!(refusal, truncated());
}

#[tokio::test]
async fn an_answer_to_an_earlier_question_is_passed_over() {
    let (mut netlink, _) = kernel(PATIENT, |asked, sequence, _| {
        let old = sequence.wrapping_sub(1);
        let parts = match asked {
            Asked::Services => vec![service(old, 81, 0), service(sequence, 80, 0)],
            Asked::Family | Asked::Servers | Asked::Change => {
                vec![server(old, 9, INTERRUPTED), server(sequence, 1, 0)]
            }
        };
        let mut datagrams = parts;
        datagrams.extend([done(old), word(ERROR, 0, old, -1), done(sequence)]);
        datagrams
    });
    let table = netlink.look(&|_| true).await.unwrap().table;
    assert_eq!(table.len(), 1);
    assert_eq!(servers(&table), [1]);
}

#[tokio::test]
async fn lost_or_garbled_answers_are_no_empty_table() {
    let answers: [fn(u32) -> Vec<u8>; 3] = [
        |sequence| word(OVERRUN, 0, sequence, 0),
        |_| vec![7; 12],
        |sequence| {
            [
                part(sequence, &Command::DeleteService(web(80)), 0),
                done(sequence),
            ]
            .concat()
        },
    ];
    for answer in answers {
        let (mut netlink, _) = kernel(PATIENT, move |_, sequence, times| {
            vec![match times {
                0 => answer(sequence),
                _ => done(sequence),
            }]
        });
        let refusal = netlink.look(&|_| true).await.unwrap_err();
        assert!(
            refusal.to_string().contains("cannot be understood"),
            "{refusal}"
        );
        // The next look begins anew.
        assert_eq!(netlink.look(&|_| true).await, Ok(Look::default()));
    }
}

#[tokio::test]
async fn each_errno_of_the_kernel_has_its_meaning() {
    let cases = [
        (1, IpvsRefusal::NotPermitted),
        (3, IpvsRefusal::NoSuchService),
        (2, IpvsRefusal::NoSuchServer),
        (12, errno_text(12)),
    ];
    for (errno, refusal) in cases {
        let (mut netlink, _) = kernel(PATIENT, move |_, sequence, _| {
            vec![word(ERROR, 0, sequence, -errno)]
        });
        let server = RealServerKey("192.168.0.1:80".parse().unwrap());
        let delete = Command::DeleteServer(web(80), server);
        assert_eq!(netlink.apply(&delete).await, Err(refusal));
    }
}
