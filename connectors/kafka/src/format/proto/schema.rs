//! Schemas from the texts of `.proto` files.

use std::collections::HashMap;
use std::path::Path;

use prost_reflect::{FileDescriptor, MessageDescriptor};
use protox::Compiler;
use protox::file::{File, FileResolver, GoogleFileResolver};

use super::MAX_DEPTH;
use crate::registry::Reference;

/// The name of the file that is compiled. Those that it imports have the names under which it does.
const MAIN: &str = "portolan/schema.proto";

/// A schema whose names are resolved.
#[derive(Clone, Debug)]
pub(super) struct Compiled {
    file: FileDescriptor,
}

/// The texts of files by the names under which they are imported.
struct Files(HashMap<String, String>);

impl FileResolver for Files {
    fn resolve_path(&self, path: &Path) -> Option<String> {
        path.to_str().map(ToOwned::to_owned)
    }

    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match self.0.get(name) {
            Some(text) => File::from_source(name, text),
            // The types that come with every compiler.
            None => GoogleFileResolver::new().open_file(name),
        }
    }
}

impl Compiled {
    /// Compiles a text; it may import the references by their names, and Google's own types.
    pub(super) fn new(text: &str, references: &[Reference]) -> Result<Self, String> {
        let files = references.iter().map(|reference| (reference.name.clone(), reference.text.clone()));
        let files = files.chain([(MAIN.to_owned(), text.to_owned())]).collect();
        let mut compiler = Compiler::with_file_resolver(Files(files));
        compiler
            .include_imports(true)
            .open_file(MAIN)
            .map_err(|error| format!("the Protobuf schema is not valid: {error}"))?;
        let file = compiler.descriptor_pool().get_file_by_name(MAIN);
        Ok(Self { file: file.ok_or("the Protobuf schema is empty")? })
    }

    /// The message of a name, with or without its package; the first one of the file if none is said.
    pub(super) fn message(&self, name: Option<&str>) -> Result<MessageDescriptor, String> {
        let Some(name) = name else {
            return self.file.messages().next().ok_or_else(|| "the Protobuf schema has no message".to_owned());
        };
        let package = self.file.package_name();
        let pool = self.file.parent_pool();
        let found = pool.get_message_by_name(name).or_else(|| pool.get_message_by_name(&format!("{package}.{name}")));
        found.ok_or_else(|| format!("the Protobuf schema has no message {name}"))
    }

    /// The full names of the messages that may be meant by a place: the number of a message of the file, then of one within it, and
    /// so on. Some serializers count the messages of the descriptor, in which each map has one, and Java's those that are written.
    pub(super) fn names_at(&self, place: &[usize]) -> Vec<String> {
        let name = |counts: &dyn Fn(&MessageDescriptor) -> bool| {
            let (first, within) = place.split_first()?;
            let mut message = self.file.messages().nth(*first)?;
            for index in within.iter().take(MAX_DEPTH) {
                let inner = message.child_messages().filter(|inner| counts(inner)).nth(*index);
                message = inner?;
            }
            // The entry of a map is no message that somebody sends.
            (!message.is_map_entry()).then(|| message.full_name().to_owned())
        };
        let counted = [name(&|_| true), name(&|inner| !inner.is_map_entry())];
        counted.into_iter().flatten().collect()
    }
}
