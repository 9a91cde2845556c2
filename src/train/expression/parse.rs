//! Text to expression: recursive descent over a list of tokens.
use std::prelude::v1::*;

use super::{Mistake, Node, Operand, Operator};

/// Nested parentheses. Keeps the stack bounded for any text.
const DEPTH: usize = 16;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Operand(Operand<String>),
    Operator(Operator),
    And,
    Or,
    In,
    Open,
    Close,
    Comma,
}

type Result<T> = core::result::Result<T, Mistake>;

struct Parser {
    /// Position of each token's first character, from 1.
    tokens: Vec<(usize, Token)>,
    next: usize,
    /// Position past the last character.
    end: usize,
}

pub(super) fn parse(text: &str) -> Result<Node<String>> {
    let end = text.chars().count() + 1;
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Err(Mistake {
            position: 1,
            message: String::from("the expression is empty; name a column"),
        });
    }
    let mut parser = Parser {
        tokens,
        next: 0,
        end,
    };
    let node = parser.any(0)?;
    match parser.peek() {
        None => Ok(node),
        Some(_) => Err(parser.mistake("expected \"and\", \"or\" or the end")),
    }
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut i = 0;
    let mistake = |i: usize, message: &str| Mistake {
        position: i + 1,
        message: String::from(message),
    };
    while let Some(&c) = chars.get(i) {
        let start = i;
        let following = chars.get(i + 1).copied();
        i += 1;
        let token = match c {
            c if c.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            '=' | '!' if following == Some('=') => {
                i += 1;
                Token::Operator(if c == '=' {
                    Operator::Equal
                } else {
                    Operator::NotEqual
                })
            }
            '=' => return Err(mistake(start, "\"=\" is no operator; write \"==\"")),
            '<' | '>' => {
                let or_equal = following == Some('=');
                i += usize::from(or_equal);
                Token::Operator(match (c, or_equal) {
                    ('<', false) => Operator::Less,
                    ('<', true) => Operator::LessEqual,
                    (_, false) => Operator::Greater,
                    (_, true) => Operator::GreaterEqual,
                })
            }
            '\'' | '`' => {
                let length = chars[i..].iter().position(|x| *x == c);
                let length =
                    length.ok_or_else(|| mistake(start, &format!("no closing {c}; add it")))?;
                let quoted: String = chars[i..i + length].iter().collect();
                i += length + 1;
                Token::Operand(if c == '`' {
                    Operand::Column(quoted)
                } else {
                    Operand::Text(quoted)
                })
            }
            c if c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '.') => {
                let word = |x: &char| x.is_alphanumeric() || matches!(x, '_' | '.');
                while chars.get(i).is_some_and(word) {
                    i += 1;
                }
                let word: String = chars[start..i].iter().collect();
                match word.as_str() {
                    "and" => Token::And,
                    "or" => Token::Or,
                    "in" => Token::In,
                    _ if c.is_alphabetic() || c == '_' => Token::Operand(Operand::Column(word)),
                    _ => match word.parse::<f64>() {
                        Ok(x) if x.is_finite() => Token::Operand(Operand::Number(x)),
                        _ => {
                            let message = format!(
                                "\"{word}\" is no number; put a column of that name in `backquotes`"
                            );
                            return Err(mistake(start, &message));
                        }
                    },
                }
            }
            c => {
                return Err(mistake(
                    start,
                    &format!("\"{c}\" is no operator; there are == != < <= > >= in and or"),
                ));
            }
        };
        tokens.push((start + 1, token));
    }
    Ok(tokens)
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn mistake(&self, message: &str) -> Mistake {
        let position = self
            .tokens
            .get(self.next)
            .map_or(self.end, |(position, _)| *position);
        Mistake {
            position,
            message: String::from(message),
        }
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.next += usize::from(found);
        found
    }

    fn any(&mut self, depth: usize) -> Result<Node<String>> {
        let mut nodes = vec![self.all(depth)?];
        while self.take(&Token::Or) {
            nodes.push(self.all(depth)?);
        }
        Ok(if nodes.len() == 1 {
            nodes.remove(0)
        } else {
            Node::Any(nodes)
        })
    }

    fn all(&mut self, depth: usize) -> Result<Node<String>> {
        let mut nodes = vec![self.one(depth)?];
        while self.take(&Token::And) {
            nodes.push(self.one(depth)?);
        }
        Ok(if nodes.len() == 1 {
            nodes.remove(0)
        } else {
            Node::All(nodes)
        })
    }

    fn one(&mut self, depth: usize) -> Result<Node<String>> {
        if self.take(&Token::Open) {
            if depth == DEPTH {
                return Err(self.mistake("parentheses are nested too deeply; 16 are enough"));
            }
            let node = self.any(depth + 1)?;
            if !self.take(&Token::Close) {
                return Err(self.mistake("expected \")\""));
            }
            return Ok(node);
        }
        let left = self.operand()?;
        let at = self.next;
        match self.peek() {
            Some(Token::Operator(operator)) => {
                let operator = *operator;
                self.next += 1;
                let right = self.operand()?;
                let text = matches!(left, Operand::Text(_)) || matches!(right, Operand::Text(_));
                if text && !matches!(operator, Operator::Equal | Operator::NotEqual) {
                    self.next = at;
                    return Err(self.mistake("text has no order; compare it with == or !="));
                }
                Ok(Node::Compare(left, operator, right))
            }
            Some(Token::In) => {
                self.next += 1;
                if !self.take(&Token::Open) {
                    return Err(self.mistake("expected \"(\" and a list of numbers or 'texts'"));
                }
                let mut list = vec![self.operand()?];
                while self.take(&Token::Comma) {
                    list.push(self.operand()?);
                }
                if !self.take(&Token::Close) {
                    return Err(self.mistake("expected \",\" or \")\""));
                }
                Ok(Node::In(left, list))
            }
            _ => Ok(Node::Bare(left)),
        }
    }

    fn operand(&mut self) -> Result<Operand<String>> {
        match self.peek() {
            Some(Token::Operand(operand)) => {
                let operand = operand.clone();
                self.next += 1;
                Ok(operand)
            }
            _ => Err(self.mistake("expected a column, a number or 'text'")),
        }
    }
}
