//! Walks over the values of a checkpoint that find its tensors. They terminate for every file.

use std::{borrow::Cow, collections::HashSet};

use crate::{
    Kind, Tensor, TorchError, Value,
    file::value::{Id, Node},
    limits,
    source::Span,
};

impl<'a> Value<'a> {
    /// Returns every tensor below this value once, with the path of keys that leads to it: `ema/shadow_params/3`.
    ///
    /// # Errors
    /// Returns an error if the values are nested too deeply, or the names take too much memory.
    pub fn tensors(self) -> Result<Vec<(String, &'a Tensor)>, TorchError> {
        let mut seen = vec![false; self.file.nodes.len()];
        let mut found = Vec::new();
        let mut names = Names { span: &self.file.span, used: 0 };
        let mut path = String::new();
        // State of the walk at each level: the value, its next child, and the length of its path.
        let mut levels = vec![(self, 0, 0)];
        seen[self.id.index()] = true;
        while let Some((value, next, len)) = levels.last_mut() {
            path.truncate(*len);
            if let Some(tensor) = value.as_tensor() {
                names.take(path.len())?;
                found.push((path.clone(), tensor));
            }
            let Some((step, child)) = value.child(*next) else {
                levels.pop();
                continue;
            };
            *next += 1;
            if std::mem::replace(&mut seen[child.id.index()], true) {
                continue;
            }
            if levels.len() >= limits::DEPTH {
                return Err(self.file.span.too_much(format!("more than {} levels of values", limits::DEPTH)));
            }
            let name = step.name();
            names.take(name.len())?;
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(&name);
            levels.push((child, 0, path.len()));
        }
        Ok(found)
    }

    /// Returns child `index` and its key.
    fn child(self, index: usize) -> Option<(Step<'a>, Value<'a>)> {
        let item = |items: &[Id], index: usize| items.get(index).map(|&id| (Step::Item(index), self.at(id)));
        match self.node() {
            Node::List(items) | Node::Tuple(items) | Node::Set(items) => item(items, index),
            Node::Object(object) => {
                let dicts = self.dicts();
                let entries: usize = dicts.iter().map(|entries| entries.len()).sum();
                if index < entries {
                    return self.entry(&dicts, index);
                }
                let index = index - entries;
                match index.checked_sub(object.items.len()) {
                    None => item(&object.items, index),
                    Some(0) => Some((Step::Arguments, self.at(object.arguments))),
                    Some(1) => object.state.map(|state| (Step::State, self.at(state))),
                    Some(_) => None,
                }
            }
            _ => self.entry(&self.dicts(), index),
        }
    }

    fn entry(self, dicts: &[&'a [(Id, Id)]; 3], mut index: usize) -> Option<(Step<'a>, Value<'a>)> {
        for entries in dicts {
            if let Some(&(key, value)) = entries.get(index) {
                return Some((Step::Key(self.at(key).node()), self.at(value)));
            }
            index -= entries.len();
        }
        None
    }

    /// Returns the tensors of torch's `state_dict`: those of a dictionary, or the parameters and buffers of a module
    /// and its submodules in the order of registration (`model.enc.weight`).
    ///
    /// # Errors
    /// Returns an error if the modules are nested too deeply or contain each other, or the names take too much memory.
    pub fn state_dict(self) -> Result<Vec<(String, &'a Tensor)>, TorchError> {
        let mut found = Vec::new();
        let mut names = Names { span: &self.file.span, used: 0 };
        if self.kind() == Kind::Dict {
            names.add_tensors(&mut found, "", self.entries())?;
            return Ok(found);
        }
        let mut modules = vec![(self, String::new(), 0)];
        let mut visited = 0;
        while let Some((module, prefix, depth)) = modules.pop() {
            visited += 1;
            if depth > limits::DEPTH || visited > limits::MODULES {
                return Err(self.file.span.too_much("modules in modules without end"));
            }
            let entries = |name: &str| module.get(name).into_iter().flat_map(Value::entries);
            names.add_tensors(&mut found, &prefix, entries("_parameters"))?;
            let transient = module.get("_non_persistent_buffers_set").and_then(Value::as_list);
            let transient: HashSet<&str> = transient.into_iter().flatten().filter_map(Value::as_str).collect();
            let lasting = |(key, _): &(Value, Value)| key.as_str().is_some_and(|key| !transient.contains(key));
            names.add_tensors(&mut found, &prefix, entries("_buffers").filter(lasting))?;
            // Taken from the end of the stack, so the first child goes there last.
            let below = modules.len();
            for (key, child) in entries("_modules") {
                names.take(prefix.len())?;
                if let (Some(key), Kind::Object) = (key.as_str(), child.kind()) {
                    names.take(key.len())?;
                    modules.push((child, format!("{prefix}{key}."), depth + 1));
                }
            }
            modules[below..].reverse();
        }
        Ok(found)
    }
}

/// Budget for the memory of names, which a malicious file could make arbitrarily long.
struct Names<'a> {
    span: &'a Span,
    used: usize,
}

impl Names<'_> {
    fn take(&mut self, len: usize) -> Result<(), TorchError> {
        self.used = self.used.saturating_add(len).saturating_add(1);
        if self.used > limits::NAMES { Err(self.span.too_much("names without end")) } else { Ok(()) }
    }

    /// Adds the entries that are tensors, with `prefix` before their names.
    fn add_tensors<'a>(
        &mut self,
        found: &mut Vec<(String, &'a Tensor)>,
        prefix: &str,
        entries: impl Iterator<Item = (Value<'a>, Value<'a>)>,
    ) -> Result<(), TorchError> {
        for (key, value) in entries {
            self.take(prefix.len())?;
            if let (Some(key), Some(tensor)) = (key.as_str(), value.as_tensor()) {
                self.take(key.len())?;
                found.push((format!("{prefix}{key}"), tensor));
            }
        }
        Ok(())
    }
}

/// Key of a child value.
enum Step<'a> {
    Key(&'a Node),
    Item(usize),
    Arguments,
    State,
}

impl<'a> Step<'a> {
    fn name(&self) -> Cow<'a, str> {
        match self {
            Step::Key(Node::Str(key)) => key.into(),
            Step::Key(Node::Int(key)) => key.to_string().into(),
            Step::Key(_) => "?".into(),
            Step::Item(index) => index.to_string().into(),
            Step::Arguments => "arguments".into(),
            Step::State => "state".into(),
        }
    }
}
