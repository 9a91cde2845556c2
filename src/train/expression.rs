//! Small expressions over the cells of a row, for labels, filters and sample spaces.
//!
//! ```text
//! any        = all ("or" all)*
//! all        = one ("and" one)*
//! one        = "(" any ")" | operand (("==" | "!=" | "<" | "<=" | ">" | ">=") operand | "in" "(" literal ("," literal)* ")")?
//! operand    = column | number | 'text'
//! column     = letters, digits, "_", "." or any characters between backquotes
//! ```
//! Logic is three-valued (Kleene): a comparison with a missing cell is unknown. Text compares as bytes, with `==`,
//! `!=` and `in` only; everything else compares as f64.
use std::prelude::v1::*;

mod parse;

/// A parsed expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    pub(crate) node: Node<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node<C> {
    Any(Vec<Node<C>>),
    All(Vec<Node<C>>),
    Compare(Operand<C>, Operator, Operand<C>),
    In(Operand<C>, Vec<Operand<C>>),
    Bare(Operand<C>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand<C> {
    Column(C),
    Number(f64),
    Text(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// Where an expression stops making sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Character of the expression, from 1.
    pub position: usize,
    /// What is wrong; what would be right.
    pub message: String,
}

/// An expression whose columns are `C`, ready to be evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound<C>(Node<C>);

/// A cell that is compared as a number and is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotANumber<C> {
    /// Its column.
    pub column: C,
}

impl Expression {
    /// Parses `text`.
    ///
    /// # Errors
    /// The first place that does not fit the grammar.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        parse::parse(text).map(|node| Self { node })
    }

    /// The column, if the expression is nothing else.
    pub fn as_column(&self) -> Option<&str> {
        match &self.node {
            Node::Bare(Operand::Column(name)) => Some(name),
            _ => None,
        }
    }

    /// Resolves every column by `resolve`.
    ///
    /// # Errors
    /// The first error of `resolve`.
    pub fn bind<C, E>(&self, mut resolve: impl FnMut(&str) -> Result<C, E>) -> Result<Bound<C>, E> {
        self.node
            .bind(&mut |name: &String| resolve(name))
            .map(Bound)
    }
}

impl<C> Node<C> {
    fn bind<D, E>(&self, resolve: &mut impl FnMut(&C) -> Result<D, E>) -> Result<Node<D>, E> {
        Ok(match self {
            Node::Any(nodes) => Node::Any(
                nodes
                    .iter()
                    .map(|n| n.bind(resolve))
                    .collect::<Result<_, E>>()?,
            ),
            Node::All(nodes) => Node::All(
                nodes
                    .iter()
                    .map(|n| n.bind(resolve))
                    .collect::<Result<_, E>>()?,
            ),
            Node::Compare(a, operator, b) => {
                Node::Compare(a.bind(resolve)?, *operator, b.bind(resolve)?)
            }
            Node::In(a, list) => Node::In(
                a.bind(resolve)?,
                list.iter()
                    .map(|o| o.bind(resolve))
                    .collect::<Result<_, E>>()?,
            ),
            Node::Bare(a) => Node::Bare(a.bind(resolve)?),
        })
    }
}

impl<C> Operand<C> {
    fn bind<D, E>(&self, resolve: &mut impl FnMut(&C) -> Result<D, E>) -> Result<Operand<D>, E> {
        Ok(match self {
            Operand::Column(c) => Operand::Column(resolve(c)?),
            Operand::Number(x) => Operand::Number(*x),
            Operand::Text(t) => Operand::Text(t.clone()),
        })
    }
}

impl<C: Copy> Bound<C> {
    /// True, false or unknown for the row whose cells `cell` gives; an empty cell is missing.
    ///
    /// # Errors
    /// A cell that is compared with a number and is none.
    pub fn evaluate<'r>(
        &self,
        cell: &impl Fn(C) -> &'r [u8],
    ) -> Result<Option<bool>, NotANumber<C>> {
        evaluate(&self.0, cell)
    }
}

fn evaluate<'r, C: Copy>(
    node: &Node<C>,
    cell: &impl Fn(C) -> &'r [u8],
) -> Result<Option<bool>, NotANumber<C>> {
    // Every part is evaluated, so that a malformed cell never hides behind another part's value.
    let join = |nodes: &[Node<C>], decisive: bool| {
        let mut joined = Some(!decisive);
        for node in nodes {
            match evaluate(node, cell)? {
                Some(value) if value == decisive => joined = Some(decisive),
                None if joined != Some(decisive) => joined = None,
                _ => {}
            }
        }
        Ok(joined)
    };
    match node {
        Node::Any(nodes) => join(nodes, true),
        Node::All(nodes) => join(nodes, false),
        Node::Compare(a, operator, b) => compare(a, *operator, b, cell),
        Node::In(a, list) => {
            let mut found = Some(false);
            for b in list {
                match compare(a, Operator::Equal, b, cell)? {
                    Some(true) => return Ok(Some(true)),
                    None => found = None,
                    Some(false) => {}
                }
            }
            Ok(found)
        }
        Node::Bare(Operand::Column(column)) => {
            let bytes = cell(*column);
            Ok(Some(
                !bytes.is_empty() && number(bytes).is_none_or(|x| x != 0.0),
            ))
        }
        Node::Bare(Operand::Number(x)) => Ok(Some(*x != 0.0)),
        Node::Bare(Operand::Text(t)) => Ok(Some(!t.is_empty())),
    }
}

fn compare<'r, C: Copy>(
    a: &Operand<C>,
    operator: Operator,
    b: &Operand<C>,
    cell: &impl Fn(C) -> &'r [u8],
) -> Result<Option<bool>, NotANumber<C>> {
    if let (Operand::Text(text), other) | (other, Operand::Text(text)) = (a, b) {
        let equal = match other {
            Operand::Column(column) => {
                let bytes = cell(*column);
                if bytes.is_empty() {
                    return Ok(None);
                }
                bytes == text.as_bytes()
            }
            Operand::Text(other) => other == text,
            Operand::Number(_) => false,
        };
        return Ok(Some(equal == (operator == Operator::Equal)));
    }
    let value = |operand: &Operand<C>| match operand {
        Operand::Column(column) => match cell(*column) {
            [] => Ok(None),
            bytes => number(bytes)
                .map(Some)
                .ok_or(NotANumber { column: *column }),
        },
        Operand::Number(x) => Ok(Some(*x)),
        Operand::Text(_) => Ok(None),
    };
    let (Some(a), Some(b)) = (value(a)?, value(b)?) else {
        return Ok(None);
    };
    Ok(Some(match operator {
        Operator::Equal => a == b,
        Operator::NotEqual => a != b,
        Operator::Less => a < b,
        Operator::LessEqual => a <= b,
        Operator::Greater => a > b,
        Operator::GreaterEqual => a >= b,
    }))
}

/// A finite decimal number, blanks around it allowed.
pub(crate) fn number(bytes: &[u8]) -> Option<f64> {
    if let Some(int) = integer(bytes)
        && int.unsigned_abs() < 1 << 53
    {
        return Some(int as f64);
    }
    let x: f64 = core::str::from_utf8(bytes).ok()?.trim().parse().ok()?;
    x.is_finite().then_some(x)
}

/// A decimal integer of at most 18 digits, or any that std parses.
pub(crate) fn integer(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, bytes),
    };
    if digits.is_empty() {
        return None;
    }
    if digits.len() > 18 {
        return core::str::from_utf8(bytes).ok()?.parse().ok();
    }
    let mut value = 0i64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn evaluate(text: &str, row: &[(&str, &str)]) -> Option<bool> {
        let row: Vec<(String, String)> = row
            .iter()
            .map(|(n, v)| (String::from(*n), String::from(*v)))
            .collect();
        let bound = Expression::parse(text)
            .unwrap()
            .bind(|name| row.iter().position(|(n, _)| n == name).ok_or(()))
            .unwrap();
        bound.evaluate(&|i: usize| row[i].1.as_bytes()).unwrap()
    }

    #[test]
    fn comparisons_are_numeric_or_textual_by_their_operands() {
        let row = [
            ("play", "10"),
            ("duration", "9.5"),
            ("kind", "new"),
            ("empty", ""),
        ];
        for (text, expected) in [
            ("play >= duration", Some(true)),
            ("play == 10.0", Some(true)),
            ("play == '10.0'", Some(false)),
            ("kind == 'new'", Some(true)),
            ("kind != 'new'", Some(false)),
            ("kind in ('old', 'new')", Some(true)),
            ("play in (1, 2)", Some(false)),
            ("empty == 1", None),
            ("empty != 'x'", None),
            ("empty in (1)", None),
            ("empty", Some(false)),
            ("play", Some(true)),
            ("`play` > -1", Some(true)),
        ] {
            assert_eq!(evaluate(text, &row), expected, "{text}");
        }
    }

    #[test]
    fn unknown_follows_kleene() {
        let row = [("u", ""), ("t", "1"), ("f", "0")];
        for (text, expected) in [
            ("u == 1 and f == 1", Some(false)),
            ("u == 1 and t == 1", None),
            ("u == 1 or t == 1", Some(true)),
            ("u == 1 or f == 1", None),
            ("f == 1 or t == 1 and u == 1", None),
            ("(f == 1 or t == 1) and t", Some(true)),
        ] {
            assert_eq!(evaluate(text, &row), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_name_their_position() {
        for (text, position, part) in [
            ("", 1, "empty"),
            ("a = 1", 3, "=="),
            ("a == ", 6, "expected"),
            ("a == 'x", 6, "'"),
            ("a < 'x'", 3, "text"),
            ("a == 1 b", 8, "and"),
            ("(a == 1", 8, ")"),
            ("a & b", 3, "&"),
            ("a in ()", 7, "expected"),
        ] {
            let mistake = Expression::parse(text).unwrap_err();
            assert_eq!(mistake.position, position, "{text}: {mistake:?}");
            assert!(mistake.message.contains(part), "{text}: {mistake:?}");
        }
        let deep = "(".repeat(100_000) + "a";
        assert!(
            Expression::parse(&deep)
                .unwrap_err()
                .message
                .contains("nested")
        );
    }

    #[test]
    fn a_cell_that_is_no_number_is_an_error_with_its_column() {
        let bound = Expression::parse("a > 1 and b > 1")
            .unwrap()
            .bind(|n| Ok::<_, ()>(n == "b"))
            .unwrap();
        let error = bound
            .evaluate(&|b| if b { b"x".as_slice() } else { b"0" })
            .unwrap_err();
        assert!(error.column);
    }
}
