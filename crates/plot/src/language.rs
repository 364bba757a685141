//! The texts of pictures in other languages.
//!
//! `assets/chinese.tsv` has a line for each text: English, a tab, Chinese. `{}` stands for a part that differs, such as a number, which is
//! translated by itself. The font of the Chinese letters is made of that file (`assets/subset.py`).

use std::{collections::HashMap, sync::LazyLock};

/// A language of pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

/// A text with parts that differ, and its translation.
struct Template {
    /// The parts between which something differs; the first and the last may be empty.
    parts: Vec<&'static str>,
    translation: &'static str,
}

struct Table {
    whole: HashMap<&'static str, &'static str>,
    templates: Vec<Template>,
}

static CHINESE: LazyLock<Table> = LazyLock::new(|| {
    let lines = include_str!("../assets/chinese.tsv").lines().filter_map(|line| line.split_once('\t'));
    let (mut templates, mut whole) = (Vec::new(), HashMap::new());
    for (english, chinese) in lines {
        if english.contains("{}") {
            templates.push(Template { parts: english.split("{}").collect(), translation: chinese });
        } else {
            whole.insert(english, chinese);
        }
    }
    // Long templates say more: they come first.
    templates.sort_by_key(|template| std::cmp::Reverse(template.parts.iter().map(|part| part.len()).sum::<usize>()));
    Table { whole, templates }
});

impl Language {
    /// A text of a picture in this language; one that is not in the table stays as it is.
    pub fn translate(self, text: &str) -> String {
        match self {
            Self::English => text.to_owned(),
            Self::Chinese => self.find(text).unwrap_or_else(|| text.to_owned()),
        }
    }

    /// The translation of a text, if it is in the table.
    pub fn find(self, text: &str) -> Option<String> {
        if self == Self::English {
            return Some(text.to_owned());
        }
        if let Some(found) = CHINESE.whole.get(text) {
            return Some((*found).to_owned());
        }
        CHINESE.templates.iter().find_map(|template| {
            let mut found = template.captures(text)?.into_iter();
            let mut translated = String::new();
            for (index, part) in template.translation.split("{}").enumerate() {
                if index > 0 {
                    translated.push_str(&self.translate(found.next()?));
                }
                translated.push_str(part);
            }
            Some(translated)
        })
    }
}

impl Template {
    /// What stands in the place of each `{}` of a text, if it has the parts in their order.
    fn captures<'a>(&self, text: &'a str) -> Option<Vec<&'a str>> {
        let (first, others) = self.parts.split_first()?;
        let (last, middle) = others.split_last()?;
        let mut rest = text.strip_prefix(first)?.strip_suffix(last)?;
        let mut captures = Vec::with_capacity(others.len());
        for part in middle {
            let (before, after) = rest.split_once(part)?;
            captures.push(before);
            rest = after;
        }
        captures.push(rest);
        captures.iter().all(|capture| !capture.is_empty()).then_some(captures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Canvas;

    #[test]
    fn parts_that_differ_are_kept() {
        let template = Template { parts: "{} of {} charges".split("{}").collect(), translation: "" };
        assert_eq!(template.captures("3 of 40 charges"), Some(vec!["3", "40"]));
        assert_eq!(template.captures("3 of 40 charge"), None);
        assert_eq!(template.captures(" of 40 charges"), None, "something must stand there");
        assert_eq!(Language::Chinese.translate("charges"), "电荷");
        assert_eq!(Language::Chinese.translate("2000 charges"), "2000 个电荷");
        assert_eq!(Language::Chinese.translate("x / z_max"), "x / z_max");
        assert_eq!(Language::English.translate("charges"), "charges");
    }

    #[test]
    fn the_font_has_every_letter_of_the_table() {
        for (line, text) in include_str!("../assets/chinese.tsv").lines().enumerate() {
            let (english, chinese) = text.split_once('\t').unwrap_or_else(|| panic!("line {}: no tab", line + 1));
            assert_eq!(english.matches("{}").count(), chinese.matches("{}").count(), "{text}");
            assert!(Canvas::can_write(chinese), "{chinese}: run assets/subset.py");
        }
        assert!(!Canvas::can_write("囧"), "a letter that is not in the table is not in the font");
    }
}
