//! The table of a real kernel: the ways to it, and the daemon that keeps it.
//!
//! | Question | File |
//! |---|---|
//! | how is a kernel started, how does a scenario become a test | `lab` |
//! | how does it start on a processor that it does not know | `registers` |
//! | what stands inside it | `guest` |
//! | who asks it, and who answers | `client` |
//! | what does the kernel itself say of its table | `table` |
//! | do the ways to the table agree with the kernel | `backends` |
//! | does the kernel understand everything that the table's language can say | `vocabulary` |
//! | does the HOWTO's farm stay healthy with its own files | `howto`, `howto_cut_off` |
//! | does it with a file of today, whatever happens to it | `farm` |
//! | are virtual services kept as the file declares them | `declared` |
//! | what becomes of live connections, and of what others write there | `hands` |
//! | who are the two directors of a pair, and how does one of them fail | `directors` |
//! | does a pair with keepalived go on serving, and tell each event once | `pair` |
//! | what does keepalived do with an lvsmon that is stuck, and lvsmon with a reload of keepalived | `stuck` |
//! | do other kinds of services and the other way to the table | `kinds` |
//! | do a client's packets go where the table says | `traffic` |
//! | do the settings of a section do to packets what they say | `settings` |
//! | does what is imported do as keepalived and ldirectord do with their own files | `moving` |
//! | what do the commands for a person say beside a real table | `tools` |

mod backends;
mod client;
mod declared;
mod directors;
mod farm;
mod guest;
mod hands;
mod howto;
mod howto_cut_off;
mod kinds;
mod lab;
mod moving;
mod pair;
mod registers;
mod settings;
mod stuck;
mod table;
mod tools;
mod traffic;
mod vocabulary;

/// Every lab, those that take long first.
const BOOTS: [&lab::Boot; 14] = [
    &kinds::BOOT,
    &vocabulary::BOOT,
    &declared::BOOT,
    &hands::BOOT,
    &farm::BOOT,
    &tools::BOOT,
    &traffic::BOOT,
    &settings::BOOT,
    &moving::BOOT,
    &backends::BOOT,
    &howto::BOOT,
    &howto_cut_off::BOOT,
    &pair::BOOT,
    &stuck::BOOT,
];
