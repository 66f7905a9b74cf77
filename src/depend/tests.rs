use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Result<Reading, Fault> {
    Expression::parse(text, "web", Form::Expression)
}

/// The value of a text whose names `x:t` are true and all others false.
fn value(text: &str) -> bool {
    let expression = read(text)
        .unwrap_or_else(|fault| panic!("{text}: {fault:?}"))
        .expression;
    let names = expression.names().iter();
    let values: Vec<bool> = names.map(|name| &*name.service == "t").collect();
    expression.holds(&values)
}

/// What Perl makes of each text, seen by running it.
#[test]
fn operators_bind_as_in_perl() {
    let cases = [
        ("1 && not 0 || 1", false),
        ("0 && not 0 || 1", false),
        ("not(0) || 0", true),
        ("not (1) || 1", true),
        ("not 1 || 1", false),
        ("not (0) && 0", false),
        ("not 0 && 0", true),
        ("not 1 and 0 or 1", true),
        ("! not 1", true),
        ("!!1", true),
        ("not not 1", true),
        ("1 or 0 and 0", true),
        ("1 || 0 && 0", true),
        ("!0 && 0", false),
        ("1 and 0 || 1", true),
        ("0 and 0 || 1", false),
        ("1 && not(1) && 0", false),
        ("not((1)) || 1", true),
        ("1 and not 0 and 0", false),
        ("x:t", true),
        ("x:f", false),
        ("!x:f&&x:t", true),
        ("x:t and(x:f or x:t)", true),
        ("(x:t || x:f) && !0", true),
        ("and:t or not:f", true),
    ];
    for (text, expected) in cases {
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn self_is_the_own_watch_and_every_service_counts_once() {
    let reading = read("SELF:ping && !rtr:ping || SELF:ping && MYSELF:x").unwrap();
    let names = reading.expression.names().iter();
    let names: Vec<String> = names.map(Name::to_string).collect();
    assert_eq!(names, ["web:ping", "rtr:ping", "MYSELF:x"]);
    assert_eq!(
        reading.written,
        "web:ping && !rtr:ping || web:ping && MYSELF:x"
    );
    assert_eq!(reading.places, [(0, 9), (14, 22), (39, 47)]);
}

#[test]
fn a_list_of_names_is_for_hosts_only() {
    let list = "SELF:ping rtr:ping, SELF:ping";
    let reading = Expression::parse(list, "web", Form::Names).unwrap();
    assert_eq!(reading.expression.names().len(), 2);
    assert_eq!(reading.written, "web:ping rtr:ping, web:ping");
    let fault = read(list).unwrap_err();
    assert_eq!(fault.message, "an operator is missing before \"rtr:ping\"");
    assert_eq!((fault.start, fault.end), (10, 18));
    let both = Expression::parse("a:b && !c:d", "web", Form::Names).unwrap();
    assert_eq!(both.expression.names().len(), 2);
    assert!(Expression::parse("a:b b", "web", Form::Names).is_err());
}

#[test]
fn what_makes_no_sense_is_named_with_its_place() {
    let cases = [
        ("", 0, 0, "the expression ends too early"),
        ("rtr:ping &&", 11, 11, "the expression ends too early"),
        ("rtr:ping && ", 11, 11, "the expression ends too early"),
        ("!", 1, 1, "the expression ends too early"),
        ("&& a:b", 0, 2, "nothing stands before \"&&\""),
        ("a:b || && c:d", 7, 9, "nothing stands before \"&&\""),
        ("()", 1, 2, "nothing stands before \")\""),
        ("(a:b", 0, 1, "this parenthesis is not closed"),
        ("a:b)", 3, 4, "no parenthesis is open here"),
        ("a:b not c:d", 4, 7, "an operator is missing before \"not\""),
        ("a:b (c:d)", 4, 5, "an operator is missing before \"(\""),
        ("a:b & c:d", 4, 5, "\"&\" has no meaning in a dependency"),
        ("ping", 0, 4, "\"ping\" has no meaning in a dependency"),
        ("a/b && c:d", 0, 1, "\"a\" has no meaning in a dependency"),
        ("a:b == 1", 4, 6, "\"==\" has no meaning in a dependency"),
        ("a:b:c", 3, 4, "\":\" has no meaning in a dependency"),
        (
            "a:b AND c:d",
            4,
            7,
            "\"AND\" has no meaning in a dependency",
        ),
        (
            "system('x')",
            0,
            6,
            "\"system\" has no meaning in a dependency",
        ),
        ("10", 0, 2, "\"10\" has no meaning in a dependency"),
        ("ä:b", 0, 2, "\"ä\" has no meaning in a dependency"),
    ];
    for (text, start, end, message) in cases {
        let fault = read(text).unwrap_err();
        assert_eq!(
            (fault.start, fault.end, fault.message.as_str()),
            (start, end, message),
            "{text}"
        );
        assert!(!fault.help.is_empty());
    }
}

#[test]
fn neither_depth_nor_length_exhausts_anything() {
    let deep = |count: usize| format!("{}a:b{}", "(".repeat(count), ")".repeat(count));
    assert!(read(&deep(32_000)).is_ok());
    assert!(read(&deep(1_000_000)).is_err());
    assert!(read(&format!("{}1", "!".repeat(60_000))).is_ok());
    assert!(read(&format!("{}1", "not ".repeat(16_000))).is_ok());
    assert!(read(&format!("{}1", "not ".repeat(1_000_000))).is_err());
    let names: Vec<String> = (0..5_000).map(|number| format!("g{number}:s")).collect();
    let expression = read(&names.join("&&")).unwrap().expression;
    let mut values = vec![true; 5_000];
    assert!(expression.holds(&values));
    values[4_999] = false;
    assert!(!expression.holds(&values));
}

/// An expression as a tree, computed without any cleverness.
#[derive(Clone, Debug)]
enum Tree {
    Value(bool),
    Name(usize),
    Not(&'static str, Box<Tree>),
    And(&'static str, Box<Tree>, Box<Tree>),
    Or(&'static str, Box<Tree>, Box<Tree>),
}

const NAMES: [&str; 4] = ["a:b", "SELF:ping", "x-1.y:z_", "not:or"];

impl Tree {
    fn value(&self, names: [bool; 4]) -> bool {
        match self {
            Self::Value(value) => *value,
            Self::Name(number) => names[*number],
            Self::Not(_, tree) => !tree.value(names),
            Self::And(_, left, right) => left.value(names) && right.value(names),
            Self::Or(_, left, right) => left.value(names) || right.value(names),
        }
    }

    /// How tight it binds at least, see Perl's table.
    fn binding(&self) -> u8 {
        match self {
            Self::Value(_) | Self::Name(_) => 7,
            Self::Not("!", _) => 6,
            Self::And("&&", ..) => 5,
            Self::Or("||", ..) => 4,
            Self::Not(..) => 3,
            Self::And(..) => 2,
            Self::Or(..) => 1,
        }
    }

    /// With parentheses only where they are needed.
    fn text(&self) -> String {
        let part = |tree: &Self, least: u8| {
            let text = tree.text();
            if tree.binding() < least {
                format!("({text})")
            } else {
                text
            }
        };
        match self {
            Self::Value(value) => u8::from(*value).to_string(),
            Self::Name(number) => NAMES[*number].to_owned(),
            Self::Not("!", tree) => format!("!{}", part(tree, 6)),
            // In parentheses: what follows would be part of it otherwise.
            Self::Not(word, tree) => match part(tree, 3) {
                // Perl reads the call of a function there.
                text if text.starts_with('(') => format!("{word}({text})"),
                text => format!("({word} {text})"),
            },
            Self::And(word, left, right) | Self::Or(word, left, right) => {
                let own = self.binding();
                format!("{} {word} {}", part(left, own), part(right, own + 1))
            }
        }
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Tree::Value),
        (0..4_usize).prop_map(Tree::Name),
    ];
    leaf.prop_recursive(8, 64, 2, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            (prop_oneof![Just("!"), Just("not")], inner)
                .prop_map(|(word, tree)| Tree::Not(word, Box::new(tree))),
            (any::<bool>(), two.clone()).prop_map(|(symbol, (left, right))| {
                let word = if symbol { "&&" } else { "and" };
                Tree::And(word, Box::new(left), Box::new(right))
            }),
            (any::<bool>(), two).prop_map(|(symbol, (left, right))| {
                let word = if symbol { "||" } else { "or" };
                Tree::Or(word, Box::new(left), Box::new(right))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn a_text_means_what_its_tree_means(tree in trees(), bits in 0..16_u8) {
        let names = [0, 1, 2, 3].map(|bit| bits & (1 << bit) != 0);
        let text = tree.text();
        let reading = read(&text).unwrap();
        let number = |name: &Name| {
            NAMES.iter().position(|known| {
                known.replace("SELF", "web") == name.to_string()
            }).unwrap()
        };
        let found = reading.expression.names().iter();
        let values: Vec<bool> = found.map(|name| names[number(name)]).collect();
        prop_assert_eq!(reading.expression.holds(&values), tree.value(names), "{}", text);
    }

    #[test]
    fn the_written_text_reads_the_same_again(tree in trees()) {
        let first = read(&tree.text()).unwrap();
        let second = read(&first.written).unwrap();
        prop_assert_eq!(&first.expression, &second.expression);
        prop_assert_eq!(first.written, second.written);
    }

    #[test]
    fn no_text_is_too_much(text in "[a:b!&|() 01notrdSELF,ä]{0,60}", any in ".{0,200}") {
        for text in [text, any] {
            for form in [Form::Expression, Form::Names] {
                match Expression::parse(&text, "web", form) {
                    Ok(reading) => {
                        let _ = reading.expression.holds(&[]);
                        for (start, end) in reading.places {
                            prop_assert!(text.get(start..end).is_some());
                        }
                    }
                    Err(fault) => {
                        prop_assert!(text.get(fault.start..fault.end).is_some(), "{fault:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_service_that_is_named_twice_is_known_once_and_listed_twice() {
    let reading = Expression::parse("not SELF:p and !(x:y && a:p)", "a", Form::Expression).unwrap();
    let expression = reading.expression;
    let texts =
        |names: Vec<&Name>| -> Vec<String> { names.into_iter().map(ToString::to_string).collect() };
    assert_eq!(texts(expression.names().iter().collect()), ["a:p", "x:y"]);
    assert_eq!(
        texts(expression.mentions().collect()),
        ["a:p", "x:y", "a:p"]
    );
}
