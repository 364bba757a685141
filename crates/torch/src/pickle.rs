//! The pickle machine: a stack, a memo, and instructions that only create values.
//!
//! The instructions are those of protocols 0 to 5, as Python's `pickletools` documents them.

use std::collections::HashMap;

use crate::{
    TorchError,
    build::{Builder, EMPTY, FALSE, NONE, TRUE},
    file::value::{Id, Node},
    limits,
    reader::Reader,
    source::Span,
    storages::Storages,
    text::{self, Whole},
};

/// Interprets the pickle at `start` of `span`. Returns its value and the position of its end.
///
/// # Errors
/// Returns an error if it is not a pickle, is damaged, exceeds a limit, or calls a function that is not allowed.
pub fn read(build: &mut Builder, storages: &mut Storages, span: &Span, start: u64) -> Result<(Id, u64), TorchError> {
    let mut machine = Machine {
        build,
        storages,
        reader: Reader::new(span, start),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    loop {
        machine.build.steps += 1;
        if machine.build.steps > limits::STEPS {
            return Err(span.too_much(format!("more than {} instructions", limits::STEPS)));
        }
        let instruction = machine.reader.byte()?;
        if instruction == b'.' {
            let value = machine.pop()?;
            return Ok((value, machine.reader.position));
        }
        machine.step(instruction)?;
    }
}

struct Machine<'a> {
    build: &'a mut Builder,
    storages: &'a mut Storages,
    reader: Reader<'a>,
    stack: Vec<Id>,
    /// Lengths of the stack at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl Machine<'_> {
    fn step(&mut self, instruction: u8) -> Result<(), TorchError> {
        match instruction {
            // The protocol and the frames of the pickle.
            0x80 => {
                let protocol = self.reader.byte()?;
                if protocol > 5 { Err(self.reader.malformed(format!("pickle protocol {protocol}"))) } else { Ok(()) }
            }
            0x95 => self.reader.array::<8>().map(drop),
            // The stack.
            b'(' => self.mark(),
            b'0' => match self.marks.last() {
                Some(&mark) if mark == self.stack.len() => {
                    self.marks.pop();
                    Ok(())
                }
                _ => self.pop().map(drop),
            },
            b'1' => self.pop_to_mark().map(drop),
            b'2' => {
                let top = self.top()?;
                self.push(top)
            }
            // The memo.
            b'p' => {
                let key = self.memo_key()?;
                self.memorize(key)
            }
            b'q' => {
                let key = self.reader.byte()?;
                self.memorize(key.into())
            }
            b'r' => {
                let key = u32::from_le_bytes(self.reader.array()?);
                self.memorize(key)
            }
            0x94 => self.memorize(self.memo.len() as u32),
            b'g' => {
                let key = self.memo_key()?;
                self.remember(key)
            }
            b'h' => {
                let key = self.reader.byte()?;
                self.remember(key.into())
            }
            b'j' => {
                let key = u32::from_le_bytes(self.reader.array()?);
                self.remember(key)
            }
            b'N' => self.push(NONE),
            0x88 => self.push(TRUE),
            0x89 => self.push(FALSE),
            b'I' | b'L' | b'K' | b'M' | b'J' | 0x8a | 0x8b | b'F' | b'G' => self.number(instruction),
            b'S' | b'V' | b'T' | b'U' | b'X' | b'B' | b'C' | 0x8c | 0x8d | 0x8e | 0x96 => self.string(instruction),
            b']' | b'l' | b'a' | b'e' | b')' | b't' | 0x85..=0x87 | b'}' | b'd' | b's' | b'u' | 0x8f..=0x91 => {
                self.container(instruction)
            }
            b'c' | 0x93 | b'R' | 0x81 | 0x92 | b'o' | b'i' | b'b' | b'P' | b'Q' => self.object(instruction),
            0x82..=0x84 => Err(self.reader.malformed("an entry of Python's extension registry, which no file has")),
            0x97 | 0x98 => Err(self.reader.malformed("buffers outside of the pickle, which no file has")),
            _ => Err(self.reader.malformed(format!("0x{instruction:02x} is no instruction of a pickle"))),
        }
    }

    fn number(&mut self, instruction: u8) -> Result<(), TorchError> {
        let whole = match instruction {
            b'I' | b'L' => {
                let line = self.reader.text_line()?;
                match line.as_str() {
                    "00" => return self.push(FALSE),
                    "01" => return self.push(TRUE),
                    _ => {}
                }
                let digits = line.strip_suffix('L').unwrap_or(&line);
                text::whole_from_text(digits)
                    .ok_or_else(|| self.reader.malformed("no whole number where one is due"))?
            }
            b'K' => Whole::Int(self.reader.byte()?.into()),
            b'M' => Whole::Int(u16::from_le_bytes(self.reader.array()?).into()),
            b'J' => Whole::Int(i32::from_le_bytes(self.reader.array()?).into()),
            0x8a | 0x8b => {
                let len = if instruction == 0x8a { self.reader.byte()?.into() } else { self.len32()? };
                if len > limits::INTEGER as u64 {
                    return Err(self.reader.span.too_much(format!("a whole number of {len} bytes")));
                }
                text::whole_from_bytes(&self.reader.bytes(len)?)
            }
            b'F' => {
                let line = self.reader.text_line()?;
                let float = line.parse().map_err(|_| self.reader.malformed("no number where one is due"))?;
                return self.push_node(Node::Float(float));
            }
            _ => {
                let float = f64::from_be_bytes(self.reader.array()?);
                return self.push_node(Node::Float(float));
            }
        };
        self.push_node(match whole {
            Whole::Int(int) => Node::Int(int),
            Whole::Big(decimals) => Node::BigInt(decimals),
        })
    }

    fn string(&mut self, instruction: u8) -> Result<(), TorchError> {
        let bytes = match instruction {
            b'S' => {
                let line = self.reader.line(usize::MAX)?;
                let line = line.strip_suffix(b"\r").unwrap_or(&line);
                text::unquote(line).ok_or_else(|| self.reader.malformed("a string without its quotes"))?
            }
            b'V' => {
                let line = self.reader.line(usize::MAX)?;
                let text = text::unescape(&line).ok_or_else(|| self.reader.malformed("a broken escape in a string"))?;
                return self.push_node(Node::Str(text));
            }
            b'X' | 0x8c | 0x8d => {
                let len = self.len(instruction)?;
                let text = String::from_utf8(self.reader.bytes(len)?);
                let text = text.map_err(|_| self.reader.malformed("a string that is no UTF-8"))?;
                return self.push_node(Node::Str(text));
            }
            b'T' | b'U' => {
                let len = self.len(instruction)?;
                self.reader.bytes(len)?
            }
            _ => {
                let len = self.len(instruction)?;
                let span = self.reader.skip(len)?;
                return self.push_node(Node::Bytes(span));
            }
        };
        // A string of Python 2, whose text and bytes are one type.
        let node = match String::from_utf8(bytes) {
            Ok(text) => Node::Str(text),
            Err(bytes) => Node::Bytes(Span::of_memory(self.reader.span.path(), bytes.into_bytes())),
        };
        self.push_node(node)
    }

    fn container(&mut self, instruction: u8) -> Result<(), TorchError> {
        match instruction {
            b']' => self.push_node(Node::List(Vec::new())),
            b'}' => self.push_node(Node::Dict(Vec::new())),
            0x8f => self.push_node(Node::Set(Vec::new())),
            b')' => self.push(EMPTY),
            b'l' => {
                let items = self.pop_to_mark()?;
                self.push_node(Node::List(items))
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.push_node(Node::Tuple(items))
            }
            0x91 => {
                let items = self.pop_to_mark()?;
                self.push_node(Node::Set(items))
            }
            b'd' => {
                let items = self.pop_to_mark()?;
                self.push_node(Node::Dict(Vec::new()))?;
                self.build.set(self.top()?, &items)
            }
            b'a' => {
                let item = self.pop()?;
                self.build.extend(self.top()?, &[item])
            }
            b'e' | 0x90 => {
                let items = self.pop_to_mark()?;
                self.build.extend(self.top()?, &items)
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.build.set(self.top()?, &[key, value])
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.build.set(self.top()?, &items)
            }
            // 0x85 to 0x87: a tuple of one, two or three.
            _ => {
                let mut items = vec![NONE; usize::from(instruction - 0x84)];
                for item in items.iter_mut().rev() {
                    *item = self.pop()?;
                }
                self.push_node(Node::Tuple(items))
            }
        }
    }

    fn object(&mut self, instruction: u8) -> Result<(), TorchError> {
        match instruction {
            b'c' => {
                let (module, name) = (self.reader.text_line()?, self.reader.text_line()?);
                let class = self.build.global(&module, &name)?;
                self.push(class)
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Node::Str(module), Node::Str(name)) = (self.build.node(module), self.build.node(name)) else {
                    return Err(self.reader.malformed("a class's name that is no string"));
                };
                if module.len().max(name.len()) > limits::NAME {
                    return Err(self.reader.span.too_much("a class's name without end"));
                }
                let (module, name) = (module.clone(), name.clone());
                let class = self.build.global(&module, &name)?;
                self.push(class)
            }
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let value = self.build.call(function, arguments)?;
                self.push(value)
            }
            0x81 => {
                let (arguments, class) = (self.pop()?, self.pop()?);
                let value = self.build.instance(class, arguments)?;
                self.push(value)
            }
            0x92 => {
                let (keywords, arguments, class) = (self.pop()?, self.pop()?, self.pop()?);
                let arguments = self.build.add(Node::Tuple(vec![arguments, keywords]))?;
                let value = self.build.instance(class, arguments)?;
                self.push(value)
            }
            b'o' => {
                let items = self.pop_to_mark()?;
                let Some((&class, arguments)) = items.split_first() else {
                    return Err(self.reader.malformed("an instance without a class"));
                };
                self.call(class, arguments.to_vec())
            }
            b'i' => {
                let (module, name) = (self.reader.text_line()?, self.reader.text_line()?);
                let class = self.build.global(&module, &name)?;
                let arguments = self.pop_to_mark()?;
                self.call(class, arguments)
            }
            b'b' => {
                let state = self.pop()?;
                self.build.set_state(self.top()?, state)
            }
            // A storage elsewhere in the file.
            b'P' => Err(self.reader.malformed("a persistent id in text, which no checkpoint has")),
            _ => {
                let id = self.pop()?;
                let value = self.storages.persistent(self.build, id)?;
                self.push(value)
            }
        }
    }

    fn call(&mut self, class: Id, arguments: Vec<Id>) -> Result<(), TorchError> {
        let arguments = self.build.add(Node::Tuple(arguments))?;
        let value = self.build.call(class, arguments)?;
        self.push(value)
    }

    fn push(&mut self, id: Id) -> Result<(), TorchError> {
        if self.stack.len() as u64 >= limits::VALUES {
            return Err(self.reader.span.too_much("a stack without end"));
        }
        self.stack.push(id);
        Ok(())
    }

    fn push_node(&mut self, node: Node) -> Result<(), TorchError> {
        let id = self.build.add(node)?;
        self.push(id)
    }

    fn mark(&mut self) -> Result<(), TorchError> {
        if self.marks.len() >= limits::NESTING {
            return Err(self.reader.span.too_much(format!("more than {} open marks", limits::NESTING)));
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    /// Pops a value. Instructions may only use the stack above the last mark.
    fn top(&self) -> Result<Id, TorchError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.last() {
            Some(&id) if self.stack.len() > floor => Ok(id),
            _ => Err(self.reader.malformed("the pickle's stack is empty where a value is due")),
        }
    }

    fn pop(&mut self) -> Result<Id, TorchError> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, TorchError> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => Err(self.reader.malformed("the pickle has no mark where one is due")),
        }
    }

    fn memo_key(&mut self) -> Result<u32, TorchError> {
        self.reader.text_line()?.parse().map_err(|_| self.reader.malformed("a place in the memo that is no number"))
    }

    fn memorize(&mut self, key: u32) -> Result<(), TorchError> {
        let top = self.top()?;
        if self.memo.len() as u64 >= limits::VALUES {
            return Err(self.reader.span.too_much("a memo without end"));
        }
        self.memo.insert(key, top);
        Ok(())
    }

    fn remember(&mut self, key: u32) -> Result<(), TorchError> {
        match self.memo.get(&key) {
            Some(&id) => self.push(id),
            None => Err(self.reader.malformed(format!("nothing is memorized as {key}"))),
        }
    }

    fn len32(&mut self) -> Result<u64, TorchError> {
        Ok(u32::from_le_bytes(self.reader.array()?).into())
    }

    /// The length of what follows, of one, four or eight bytes.
    fn len(&mut self, instruction: u8) -> Result<u64, TorchError> {
        match instruction {
            b'U' | b'C' | 0x8c => Ok(self.reader.byte()?.into()),
            b'T' | b'X' | b'B' => self.len32(),
            _ => Ok(u64::from_le_bytes(self.reader.array()?)),
        }
    }
}
