//! What a file holds: its records, as places in its text.

use crate::config::lines::Span;

/// A record or setting of the top level, in file order.
#[derive(Debug, PartialEq)]
pub(crate) enum Item {
    Global(Global),
    Hostgroup(Hostgroup),
    Alias(Alias),
    View(View),
    Watch(Watch),
    Section(Section),
    Include(Include),
}

/// `name = value`
#[derive(Debug, PartialEq)]
pub(crate) struct Global {
    pub(crate) name: Span,
    pub(crate) value: Span,
}

/// `hostgroup NAME host...` with the lines that follow it.
#[derive(Debug, PartialEq)]
pub(crate) struct Hostgroup {
    pub(crate) name: Span,
    pub(crate) hosts: Vec<Span>,
}

/// `alias NAME` with the lines that follow it.
#[derive(Debug, PartialEq)]
pub(crate) struct Alias {
    pub(crate) name: Span,
    pub(crate) lines: Vec<Span>,
}

/// `view NAME member...` with the lines that follow it.
#[derive(Debug, PartialEq)]
pub(crate) struct View {
    pub(crate) name: Span,
    pub(crate) members: Vec<Span>,
}

/// `watch NAME` with its services.
#[derive(Debug, PartialEq)]
pub(crate) struct Watch {
    pub(crate) name: Span,
    pub(crate) services: Vec<Service>,
}

/// `virtual NAME` with its lines.
#[derive(Debug, PartialEq)]
pub(crate) struct Section {
    /// All that stands behind the word; may be empty.
    pub(crate) name: Span,
    pub(crate) statements: Vec<Statement>,
}

/// `service NAME` with everything up to the next service.
#[derive(Debug, PartialEq)]
pub(crate) struct Service {
    pub(crate) name: Span,
    pub(crate) statements: Vec<Statement>,
    pub(crate) environment: Vec<Environment>,
    pub(crate) periods: Vec<Period>,
}

/// `keyword argument`
#[derive(Debug, PartialEq)]
pub(crate) struct Statement {
    pub(crate) keyword: Span,
    pub(crate) argument: Span,
}

/// `NAME=value`
#[derive(Debug, PartialEq)]
pub(crate) struct Environment {
    pub(crate) name: Span,
    pub(crate) value: Span,
}

/// `period [LABEL:] SPECIFICATION` with its rules.
#[derive(Debug, PartialEq)]
pub(crate) struct Period {
    pub(crate) label: Option<Span>,
    pub(crate) specification: Span,
    pub(crate) statements: Vec<Statement>,
}

/// `include FILE|DIR`
#[derive(Debug, PartialEq)]
pub(crate) struct Include {
    pub(crate) path: Span,
}
