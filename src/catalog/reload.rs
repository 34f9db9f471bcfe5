//! Reading the catalog file again while queries run.

use std::fmt;

use super::{Catalog, CatalogFile, CatalogSet};

/// What a catalog became when the file was read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added,
    /// Its definition is another.
    Changed,
    /// It is no longer there.
    Removed,
    /// Its definition is another and is wrong, for this reason: it goes on as it was.
    Kept(String),
    /// It is new and wrong, for this reason.
    Broken(String),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added => f.write_str("added"),
            Self::Changed => f.write_str("changed"),
            Self::Removed => f.write_str("removed"),
            Self::Kept(why) => write!(f, "kept as it was: {why}"),
            Self::Broken(why) => write!(f, "added and broken: {why}"),
        }
    }
}

impl CatalogSet {
    /// The catalogs of a file that was read again. Those whose definition is the same keep their connections, and those
    /// whose new definition is wrong keep their old one.
    pub(crate) fn reload(&self, file: CatalogFile) -> (Self, Vec<(String, Change)>) {
        let mut changes = Vec::new();
        let opened = Self::open(file);
        for old in self.configured().filter(|old| !opened.iter().any(|new| new.name == old.name)) {
            changes.push((old.name.clone(), Change::Removed));
        }
        let mut catalogs = Vec::new();
        for new in opened.into_catalogs() {
            let name = new.name.clone();
            let old = self.iter().find(|old| old.name == name).cloned();
            let (catalog, change) = replace(old, new);
            changes.extend(change.map(|change| (name, change)));
            catalogs.push(catalog);
        }
        (Self::of(catalogs), changes)
    }
}

/// The catalog that takes the place of another, and what became of it.
fn replace(old: Option<Catalog>, new: Catalog) -> (Catalog, Option<Change>) {
    match (old, new.connector().map(drop)) {
        (None, Ok(())) => (new, Some(Change::Added)),
        (None, Err(error)) => (new, Some(Change::Broken(error.message().text.clone()))),
        (Some(old), Ok(())) if old.is_defined_as(&new) => (old.reloaded(None), None),
        (Some(_), Ok(())) => (new, Some(Change::Changed)),
        (Some(old), Err(error)) => {
            let why = error.message().text.clone();
            match old.connector() {
                Ok(_) => (old.reloaded(Some(why.clone())), Some(Change::Kept(why))),
                Err(_) => (new, Some(Change::Broken(why))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Environment;

    fn set(text: &str) -> CatalogSet {
        CatalogSet::open(file(text))
    }

    fn file(text: &str) -> CatalogFile {
        CatalogFile::parse(text, "c.toml", &Environment { directory: std::env::temp_dir() }).unwrap()
    }

    #[test]
    fn what_is_the_same_stays_and_what_is_wrong_goes_on_as_it_was() {
        let hive = |name: &str, location: &str| format!("[{name}]\nconnector = 'hive'\nlocation = '{location}'\n");
        let old = set(&[hive("same", "/a"), hive("other", "/a"), hive("wrong", "/a"), hive("gone", "/a")].concat());
        let wrong = "[wrong]\nconnector = 'hive'\nlocatoin = '/a'\n".to_owned();
        let text = [hive("same", "/a"), hive("other", "/b"), wrong, hive("new", "/a")];
        let (new, changes) = old.reload(file(&text.concat()));
        let kept = "c.toml:9: catalog wrong: unknown key `locatoin`".to_owned();
        let names: Vec<(&str, bool)> = changes
            .iter()
            .map(|(name, change)| match change {
                Change::Kept(why) => (name.as_str(), why.starts_with(&kept)),
                change => (name.as_str(), [Change::Removed, Change::Changed, Change::Added].contains(change)),
            })
            .collect();
        assert_eq!(names, [("gone", true), ("other", true), ("wrong", true), ("new", true)], "{changes:?}");
        let connector =
            |set: &CatalogSet, name: &str| std::sync::Arc::clone(set.get(name).unwrap().connector().unwrap());
        assert!(std::sync::Arc::ptr_eq(&connector(&old, "same"), &connector(&new, "same")));
        assert!(std::sync::Arc::ptr_eq(&connector(&old, "wrong"), &connector(&new, "wrong")));
        assert!(!std::sync::Arc::ptr_eq(&connector(&old, "other"), &connector(&new, "other")));
        assert!(new.find("gone").is_none());
        assert!(new.get("wrong").unwrap().state().contains("not reloaded"));
        assert_eq!(new.get("same").unwrap().state(), "ok");
    }
}
