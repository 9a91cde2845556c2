//! Text to syntax tree.
//!
//! ```text
//! formula  = any
//! any      = all ("or" all)*
//! all      = not ("and" not)*
//! not      = "not" not | compare
//! compare  = sum (("<" | "<=" | ">" | ">=" | "==" | "!=") sum)?
//! sum      = product (("+" | "-") product)*
//! product  = sign (("*" | "/") sign)*
//! sign     = "-" sign | power
//! power    = atom ("^" sign)?
//! atom     = number | name | name "(" any ("," any)* ")" | "(" any ")"
//! name     = letters, digits and "_", or any characters between backquotes
//! ```
use core::ops::Range;
use std::prelude::v1::*;

use crate::train::expression::Mistake;

/// Nested parentheses, signs and powers. Keeps the stack bounded for any text.
const NESTED: usize = 32;

/// An expression and the bytes of the text that it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Syntax {
    pub node: Node,
    pub span: Range<usize>,
}

/// An expression by names.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Number(f64),
    Name(String),
    /// A function, or an operator by its sign.
    Call(String, Vec<Syntax>),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(f64),
    Name(String),
    /// An operator, a bracket, a comma or one of "and", "or", "not".
    Sign(&'static str),
}

const SIGNS: [&str; 15] = [
    "<=", ">=", "==", "!=", "<", ">", "+", "-", "*", "/", "^", "(", ")", ",", "=",
];

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<(Token, Range<usize>)>,
    next: usize,
    nested: usize,
}

type Parsed = Result<Syntax, Mistake>;

/// Parses all of `text`.
///
/// # Errors
/// The first place that does not fit the grammar.
pub fn parse(text: &str) -> Parsed {
    let mut parser = Parser {
        text,
        tokens: tokens(text)?,
        next: 0,
        nested: 0,
    };
    if parser.tokens.is_empty() {
        return Err(mistake(text, 0, "the formula is empty; name a task".into()));
    }
    let syntax = parser.any()?;
    match parser.tokens.get(parser.next) {
        None => Ok(syntax),
        Some(_) => Err(parser.expected("an operator or the end")),
    }
}

/// A mistake at a byte of the text.
pub fn mistake(text: &str, byte: usize, message: String) -> Mistake {
    Mistake {
        position: text[..byte].chars().count() + 1,
        message,
    }
}

fn tokens(text: &str) -> Result<Vec<(Token, Range<usize>)>, Mistake> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let word = |rest: &str| {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'));
            end.unwrap_or(rest.len())
        };
        let (token, len) = if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        } else if c == '`' {
            let end = rest[1..]
                .find('`')
                .ok_or_else(|| mistake(text, at, "no closing `; add it".to_string()))?;
            (Token::Name(rest[1..=end].to_string()), end + 2)
        } else if c.is_ascii_digit() || c == '.' {
            let mut len = word(rest);
            // 1e-3, 1e+3
            let exponent = rest[..len].ends_with(['e', 'E']);
            if exponent && rest[len..].starts_with(['-', '+']) {
                len += 1 + word(&rest[len + 1..]);
            }
            match rest[..len].parse::<f64>() {
                Ok(x) if x.is_finite() => (Token::Number(x), len),
                _ => {
                    let message = format!(
                        "\"{}\" is no number; put a name like it in `backquotes`",
                        &rest[..len]
                    );
                    return Err(mistake(text, at, message));
                }
            }
        } else if c.is_alphabetic() || c == '_' {
            let len = word(rest);
            let token = match &rest[..len] {
                "and" => Token::Sign("and"),
                "or" => Token::Sign("or"),
                "not" => Token::Sign("not"),
                name => Token::Name(name.to_string()),
            };
            (token, len)
        } else {
            match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                Some(&"=") => {
                    let message = "\"=\" is no operator; write \"==\"".to_string();
                    return Err(mistake(text, at, message));
                }
                Some(sign) => (Token::Sign(sign), sign.len()),
                None => {
                    let message = format!(
                        "\"{c}\" is no operator; there are + - * / ^ == != < <= > >= and or not"
                    );
                    return Err(mistake(text, at, message));
                }
            }
        };
        tokens.push((token, at..at + len));
        at += len;
    }
    Ok(tokens)
}

impl Parser<'_> {
    fn expected(&self, what: &str) -> Mistake {
        let at = self.tokens.get(self.next);
        let byte = at.map_or(self.text.len(), |(_, span)| span.start);
        mistake(self.text, byte, format!("expected {what}"))
    }

    /// The sign that is next, if it is one of `signs`.
    fn take(&mut self, signs: &[&'static str]) -> Option<&'static str> {
        let Some((Token::Sign(sign), _)) = self.tokens.get(self.next) else {
            return None;
        };
        let found = signs.iter().find(|s| *s == sign)?;
        self.next += 1;
        Some(found)
    }

    fn deeper(&mut self, parse: fn(&mut Self) -> Parsed) -> Parsed {
        if self.nested == NESTED {
            return Err(self.expected("less nesting: 32 levels are enough"));
        }
        self.nested += 1;
        let parsed = parse(self);
        self.nested -= 1;
        parsed
    }

    /// Operators of one precedence, from the left.
    fn chain(&mut self, signs: &[&'static str], part: fn(&mut Self) -> Parsed) -> Parsed {
        let mut left = part(self)?;
        while let Some(sign) = self.take(signs) {
            let right = part(self)?;
            left = call(sign, vec![left, right]);
        }
        Ok(left)
    }

    fn any(&mut self) -> Parsed {
        self.chain(&["or"], Self::all)
    }

    fn all(&mut self) -> Parsed {
        self.chain(&["and"], Self::not)
    }

    fn not(&mut self) -> Parsed {
        self.prefix("not", Self::not, Self::compare)
    }

    fn compare(&mut self) -> Parsed {
        let left = self.sum()?;
        match self.take(&["<=", ">=", "==", "!=", "<", ">"]) {
            Some(sign) => {
                let right = self.sum()?;
                Ok(call(sign, vec![left, right]))
            }
            None => Ok(left),
        }
    }

    fn sum(&mut self) -> Parsed {
        self.chain(&["+", "-"], Self::product)
    }

    fn product(&mut self) -> Parsed {
        self.chain(&["*", "/"], Self::sign)
    }

    fn sign(&mut self) -> Parsed {
        self.prefix("-", Self::sign, Self::power)
    }

    fn prefix(
        &mut self,
        sign: &'static str,
        again: fn(&mut Self) -> Parsed,
        else_: fn(&mut Self) -> Parsed,
    ) -> Parsed {
        let start = self.tokens.get(self.next).map(|(_, span)| span.start);
        match (self.take(&[sign]), start) {
            (Some(sign), Some(start)) => {
                let of = self.deeper(again)?;
                let span = start..of.span.end;
                let node = Node::Call(sign.to_string(), vec![of]);
                Ok(Syntax { node, span })
            }
            _ => else_(self),
        }
    }

    fn power(&mut self) -> Parsed {
        let base = self.atom()?;
        match self.take(&["^"]) {
            Some(sign) => {
                let exponent = self.deeper(Self::sign)?;
                Ok(call(sign, vec![base, exponent]))
            }
            None => Ok(base),
        }
    }

    fn atom(&mut self) -> Parsed {
        let Some((token, span)) = self.tokens.get(self.next).cloned() else {
            return Err(self.expected("a task, a feature, a weight, a number or \"(\""));
        };
        self.next += 1;
        let node = match token {
            Token::Number(x) => Node::Number(x),
            Token::Name(name) => match self.take(&["("]) {
                None => Node::Name(name),
                Some(_) => {
                    let mut arguments = vec![self.deeper(Self::any)?];
                    while self.take(&[","]).is_some() {
                        arguments.push(self.deeper(Self::any)?);
                    }
                    let end = self.close()?;
                    let node = Node::Call(name, arguments);
                    let span = span.start..end;
                    return Ok(Syntax { node, span });
                }
            },
            Token::Sign("(") => {
                let mut inner = self.deeper(Self::any)?;
                inner.span = span.start..self.close()?;
                return Ok(inner);
            }
            Token::Sign(_) => {
                self.next -= 1;
                return Err(self.expected("a task, a feature, a weight, a number or \"(\""));
            }
        };
        Ok(Syntax { node, span })
    }

    /// Past a closing bracket.
    fn close(&mut self) -> Result<usize, Mistake> {
        let end = self.tokens.get(self.next).map(|(_, span)| span.end);
        match (self.take(&[")"]), end) {
            (Some(_), Some(end)) => Ok(end),
            _ => Err(self.expected("\",\" or \")\"")),
        }
    }
}

fn call(sign: &str, arguments: Vec<Syntax>) -> Syntax {
    let start = arguments.first().map_or(0, |a| a.span.start);
    let end = arguments.last().map_or(0, |a| a.span.end);
    Syntax {
        node: Node::Call(sign.to_string(), arguments),
        span: start..end,
    }
}
