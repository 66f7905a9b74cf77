//! Dependency expressions: when is a service to be left in peace.
//!
//! `rtr:ping && (web:dns || web:dns2)`: names of services, `0`, `1`, parentheses, and Perl's
//! operators with Perl's precedence: `!` binds tightest, then `&&`, `||`, `not`, `and`, `or`.
//! mon hands the text to Perl after it has put 1 or 0 for each name; here anything that is
//! not one of these words is a fault (docs/mon.md, E-18). The words are in `depend.pest`.
//!
//! Nothing here recurses, so that no text can exhaust the stack: the words are put into the
//! order in which they are computed, operands before their operator. Not here: which service
//! a name is ([`crate::model`]), and what its value is at the moment ([`crate::engine`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use pest::Parser;
use pest::iterators::Pair;

#[cfg(test)]
mod tests;

/// What `depend.pest` describes.
mod grammar {
    #[derive(pest_derive::Parser)]
    #[grammar = "depend.pest"]
    pub(super) struct Grammar;
}

use grammar::{Grammar, Rule};

/// Longest text of one expression in bytes: room for 2,000 services of a generated file, and
/// little enough to be computed at every event.
pub const TEXT_MAX: usize = 65_536;

/// The name that stands for the watch in which an expression is written.
const SELF: &str = "SELF";

/// A service as an expression names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// The watch; `SELF` is replaced already.
    pub group: Arc<str>,
    /// The service in it.
    pub service: Arc<str>,
}

impl std::fmt::Display for Name {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}:{}", self.group, self.service)
    }
}

/// An expression, ready to be computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    /// The services it names, each once, in the order of the text.
    names: Box<[Name]>,
    /// Operands before their operator; never needs an operand that is not there.
    steps: Box<[Step]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Value(bool),
    /// The value of the name with this number.
    Name(u16),
    Not,
    And,
    Or,
}

/// Whether a plain list of names is accepted besides an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An expression.
    Expression,
    /// An expression or a list of names: only the names count.
    Names,
}

/// What an expression was read to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The expression.
    pub expression: Expression,
    /// The text with `SELF` replaced, as status lines show it.
    pub written: String,
    /// Where each of the names stands first, in bytes of the text.
    pub places: Vec<(usize, usize)>,
}

/// Why a text is no expression, and which bytes of it are to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// First byte of the part.
    pub start: usize,
    /// First byte behind it.
    pub end: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: &'static str,
}

impl Expression {
    /// Reads an expression that stands in the watch `own`.
    ///
    /// # Errors
    ///
    /// The first thing that makes no sense, or a text of more than [`TEXT_MAX`] bytes.
    pub fn parse(text: &str, own: &str, form: Form) -> Result<Reading, Fault> {
        if text.len() > TEXT_MAX {
            return Err(Fault {
                start: 0,
                end: 0,
                message: format!("the expression has more than {TEXT_MAX} bytes"),
                help: "let it depend on a service that depends on the others",
            });
        }
        if form == Form::Names
            && let Some(reading) = read_list(text, own)
        {
            return reading;
        }
        let mut reader = Reader::new(text, own);
        let words = Grammar::parse(Rule::words, text).ok();
        let Some(words) = words.and_then(|mut pairs| pairs.next()) else {
            unreachable!("words and an unknown rest together take any text");
        };
        for word in words.into_inner() {
            reader.take(&word)?;
        }
        reader.finish()
    }

    /// The services it names, each once, in the order of the text.
    #[must_use]
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// The services as the text names them, as often as it does.
    pub fn mentions(&self) -> impl Iterator<Item = &Name> {
        // Operands are computed in the order of the text.
        self.steps.iter().filter_map(|step| match step {
            Step::Name(number) => self.names.get(usize::from(*number)),
            Step::Value(_) | Step::Not | Step::And | Step::Or => None,
        })
    }

    /// Its value, where `values` are those of [`Self::names`]; what is missing there is false.
    #[must_use]
    pub fn holds(&self, values: &[bool]) -> bool {
        let mut stack: Vec<bool> = Vec::new();
        for step in &self.steps {
            let value = match step {
                Step::Value(value) => *value,
                Step::Name(number) => values.get(usize::from(*number)).copied().unwrap_or(false),
                Step::Not => !stack.pop().unwrap_or_default(),
                Step::And => {
                    let right = stack.pop().unwrap_or_default();
                    stack.pop().unwrap_or_default() && right
                }
                Step::Or => {
                    let right = stack.pop().unwrap_or_default();
                    stack.pop().unwrap_or_default() || right
                }
            };
            stack.push(value);
        }
        stack.pop().unwrap_or_default()
    }
}

/// A plain list of names; none where the text is something else.
fn read_list(text: &str, own: &str) -> Option<Result<Reading, Fault>> {
    let list = Grammar::parse(Rule::list, text).ok()?.next()?;
    let mut reader = Reader::new(text, own);
    for word in list.into_inner() {
        if word.as_rule() == Rule::name {
            // Any operator does: nobody computes a list.
            if !reader.steps.is_empty() {
                reader.operators.push(Operator::of(Rule::both));
            }
            reader.wants_operand = true;
            if let Err(fault) = reader.take(&word) {
                return Some(Err(fault));
            }
        }
    }
    Some(reader.finish())
}

/// An operator that waits for its operand, or an open parenthesis.
#[derive(Clone, Copy, Debug)]
struct Operator {
    /// None for a parenthesis.
    step: Option<Step>,
    /// The higher, the tighter.
    binding: u8,
    /// Where it stands.
    start: usize,
    end: usize,
}

impl Operator {
    /// How tight the negation `!` binds, and `not` with a parenthesis behind it.
    const TIGHTEST: u8 = 6;

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the rules of the grammar are more than its operators"
    )]
    fn of(rule: Rule) -> Self {
        let (step, binding) = match rule {
            Rule::negation => (Some(Step::Not), Self::TIGHTEST),
            Rule::both => (Some(Step::And), 5),
            Rule::either => (Some(Step::Or), 4),
            Rule::not => (Some(Step::Not), 3),
            Rule::and => (Some(Step::And), 2),
            Rule::or => (Some(Step::Or), 1),
            _ => (None, 0),
        };
        Self {
            step,
            binding,
            start: 0,
            end: 0,
        }
    }

    fn at(self, word: &Pair<'_, Rule>) -> Self {
        let span = word.as_span();
        Self {
            start: span.start(),
            end: span.end(),
            ..self
        }
    }
}

/// Puts words into the order in which they are computed (Dijkstra's shunting yard).
struct Reader<'a> {
    text: &'a str,
    own: &'a str,
    names: Vec<Name>,
    numbers: BTreeMap<Name, u16>,
    places: Vec<(usize, usize)>,
    /// Where `SELF` stands.
    selves: Vec<(usize, usize)>,
    steps: Vec<Step>,
    operators: Vec<Operator>,
    wants_operand: bool,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, own: &'a str) -> Self {
        Self {
            text,
            own,
            names: Vec::new(),
            numbers: BTreeMap::new(),
            places: Vec::new(),
            selves: Vec::new(),
            steps: Vec::new(),
            operators: Vec::new(),
            wants_operand: true,
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the rules of the grammar are more than its words"
    )]
    fn take(&mut self, word: &Pair<'_, Rule>) -> Result<(), Fault> {
        match word.as_rule() {
            Rule::name => {
                let step = self.name(word);
                self.operand(word, step)
            }
            Rule::value => self.operand(word, Step::Value(word.as_str() == "1")),
            Rule::negation | Rule::not => self.prefix(word),
            Rule::open => self.open(word),
            Rule::close => self.close(word),
            Rule::both | Rule::either | Rule::and | Rule::or => self.infix(word),
            Rule::unknown => Err(unknown(word)),
            // The end of the text.
            _ => Ok(()),
        }
    }

    fn name(&mut self, word: &Pair<'_, Rule>) -> Step {
        let mut parts = word.clone().into_inner();
        let group = parts.next().map_or("", |part| part.as_str());
        let service = parts.next().map_or("", |part| part.as_str());
        let span = word.as_span();
        let is_self = group == SELF;
        if is_self {
            self.selves.push((span.start(), span.start() + SELF.len()));
        }
        let name = Name {
            group: if is_self { self.own } else { group }.into(),
            service: service.into(),
        };
        // A name has three letters at least: TEXT_MAX keeps their number small.
        let next = u16::try_from(self.names.len()).unwrap_or(u16::MAX);
        let number = *self.numbers.entry(name.clone()).or_insert(next);
        if number == next {
            self.names.push(name);
            self.places.push((span.start(), span.end()));
        }
        Step::Name(number)
    }

    fn operand(&mut self, word: &Pair<'_, Rule>, step: Step) -> Result<(), Fault> {
        if !self.wants_operand {
            return Err(no_operator(word));
        }
        self.steps.push(step);
        self.wants_operand = false;
        Ok(())
    }

    fn prefix(&mut self, word: &Pair<'_, Rule>) -> Result<(), Fault> {
        if !self.wants_operand {
            return Err(no_operator(word));
        }
        let mut operator = Operator::of(word.as_rule()).at(word);
        // Perl takes `not (a) || b` for the call of a function: (not a) || b.
        let behind = self.text.get(operator.end..).unwrap_or_default();
        if behind.trim_start().starts_with('(') {
            operator.binding = Operator::TIGHTEST;
        }
        self.operators.push(operator);
        Ok(())
    }

    fn infix(&mut self, word: &Pair<'_, Rule>) -> Result<(), Fault> {
        if self.wants_operand {
            return Err(no_operand(word));
        }
        let operator = Operator::of(word.as_rule()).at(word);
        while let Some(waiting) = self.operators.last()
            && waiting.binding >= operator.binding
            && let Some(step) = waiting.step
        {
            self.steps.push(step);
            self.operators.pop();
        }
        self.operators.push(operator);
        self.wants_operand = true;
        Ok(())
    }

    fn open(&mut self, word: &Pair<'_, Rule>) -> Result<(), Fault> {
        if !self.wants_operand {
            return Err(no_operator(word));
        }
        self.operators.push(Operator::of(Rule::open).at(word));
        Ok(())
    }

    fn close(&mut self, word: &Pair<'_, Rule>) -> Result<(), Fault> {
        if self.wants_operand {
            return Err(no_operand(word));
        }
        while let Some(waiting) = self.operators.pop() {
            match waiting.step {
                Some(step) => self.steps.push(step),
                None => return Ok(()),
            }
        }
        let message = "no parenthesis is open here".to_owned();
        Err(fault(word, message, "remove it, or open one before"))
    }

    fn finish(mut self) -> Result<Reading, Fault> {
        if self.wants_operand {
            let at = self.text.trim_end().len();
            return Err(Fault {
                start: at,
                end: at,
                message: "the expression ends too early".to_owned(),
                help: "a name GROUP:SERVICE is missing at the end",
            });
        }
        while let Some(waiting) = self.operators.pop() {
            let Some(step) = waiting.step else {
                return Err(Fault {
                    start: waiting.start,
                    end: waiting.end,
                    message: "this parenthesis is not closed".to_owned(),
                    help: "add \")\"",
                });
            };
            self.steps.push(step);
        }
        let mut written = self.text.to_owned();
        for &(start, end) in self.selves.iter().rev() {
            written.replace_range(start..end, self.own);
        }
        Ok(Reading {
            expression: Expression {
                names: self.names.into(),
                steps: self.steps.into(),
            },
            written,
            places: self.places,
        })
    }
}

fn fault(word: &Pair<'_, Rule>, message: String, help: &'static str) -> Fault {
    let span = word.as_span();
    Fault {
        start: span.start(),
        end: span.end(),
        message,
        help,
    }
}

fn no_operator(word: &Pair<'_, Rule>) -> Fault {
    let message = format!("an operator is missing before \"{}\"", word.as_str());
    fault(word, message, "join what is needed with && or ||")
}

fn no_operand(word: &Pair<'_, Rule>) -> Fault {
    let message = format!("nothing stands before \"{}\"", word.as_str());
    fault(word, message, "a name GROUP:SERVICE is missing there")
}

/// A word that is none: up to the next blank.
fn unknown(rest: &Pair<'_, Rule>) -> Fault {
    let is_plain = |letter: char| letter.is_alphanumeric() || "_.-".contains(letter);
    let text = rest.as_str();
    let is_word = text.starts_with(is_plain);
    let end = text.find(|letter: char| {
        letter.is_whitespace() || "()".contains(letter) || is_plain(letter) != is_word
    });
    let word = text.get(..end.unwrap_or(text.len())).unwrap_or(text);
    let word = if word.is_empty() { text } else { word };
    let help = match word {
        "&" => "write &&",
        "|" => "write ||",
        "AND" | "OR" | "NOT" => "write it in small letters",
        _ if is_word => "services are named GROUP:SERVICE",
        _ => "write names GROUP:SERVICE, joined by ! && || not and or, and parentheses",
    };
    let start = rest.as_span().start();
    Fault {
        start,
        end: start + word.len(),
        message: format!("\"{word}\" has no meaning in a dependency"),
        help,
    }
}
