//! Classes of samples.

use rand::RngExt;

use crate::{
    error::{Error, Result},
    random::{Purpose, stream},
    spec::ModelSpec,
};

impl ModelSpec {
    /// Returns a class for each seed, drawn with the class shares of the training data; it depends only on the seed. If the shares are unknown,
    /// as for runs of earlier versions, classes are in turn.
    pub fn classes_by_share(&self, seeds: &[u64]) -> Vec<Option<u32>> {
        let counts = &self.data.class_counts;
        let total: u64 = counts.iter().sum();
        if self.data.classes.is_empty() || total == 0 {
            return self.classes_in_turn(seeds);
        }
        let class = |&seed: &u64| {
            let mut at = stream(seed, Purpose::Class, 0, 0).random_range(0..total);
            let found = counts.iter().position(|&count| {
                let is_here = at < count;
                at = at.saturating_sub(count);
                is_here
            });
            found.map(|class| class as u32)
        };
        seeds.iter().map(class).collect()
    }

    /// Returns a class for each seed, in turn, so that consecutive seeds draw every class equally often; `None` without classes. Classes
    /// without training rows are skipped.
    pub fn classes_in_turn(&self, seeds: &[u64]) -> Vec<Option<u32>> {
        let trained: Vec<u32> = (0..self.data.classes.len() as u32).filter(|&class| self.is_trained(class)).collect();
        let in_turn = |seed: &u64| trained.get((seed % trained.len().max(1) as u64) as usize).copied();
        seeds.iter().map(in_turn).collect()
    }

    /// Whether any row of the training data has this class; true if unknown.
    pub fn is_trained(&self, class: u32) -> bool {
        self.data.class_counts.get(class as usize).is_none_or(|&count| count > 0)
    }

    /// Returns the number of the class with this name or number, if it has training rows.
    ///
    /// # Errors
    /// Returns an error if there is no such class, or no row of the training data has it.
    pub fn trained_class(&self, name: &str) -> Result<u32> {
        let class = self.class(name)?;
        self.check_class(class)?;
        Ok(class)
    }

    /// Returns an error if the model has no such class, or the class has no training rows.
    pub(crate) fn check_class(&self, class: u32) -> Result<()> {
        let classes = &self.data.classes;
        let Some(name) = classes.get(class as usize) else {
            return Err(Error::argument("classes", format!("{class}: the model has {} classes", classes.len())));
        };
        if !self.is_trained(class) {
            let problem = format!("no row of the training data has class `{name}`, so that the model did not learn it");
            return Err(Error::argument("class", problem));
        }
        Ok(())
    }
}
