//! Users and the hashes of their passwords.
//!
//! A line for each user: `name:hash`, or `name:hash:admin` for one who may see and end the queries of others. The hash
//! is argon2id's, in the PHC format. Empty lines and lines that begin with `#` say nothing.

use std::collections::HashMap;
use std::sync::Arc;

use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::{Argon2, Params, PasswordHasher, PasswordVerifier, RECOMMENDED_SALT_LEN};
use ring::rand::{SecureRandom, SystemRandom};

use super::credentials::is_name;

/// Users of one file.
const USERS_MAX: usize = 100_000;

/// The most memory that checking a password may take, in KiB: 1 GiB.
const MEMORY_KIB_MAX: u32 = 1 << 20;

/// The most rounds that checking a password may take.
const ROUNDS_MAX: u32 = 100;

const ADMIN: &str = "admin";

/// What is wrong with a hash that is none.
const NO_HASH: &str =
    "the hash is not argon2id's in the PHC format ($argon2id$v=19$...): make the line with `portolan password NAME`";

/// A user of the file.
#[derive(Clone, Debug)]
pub(super) struct User {
    /// Whether the file calls the user an admin.
    pub(super) is_admin: bool,
    /// The hash as the file has it, which tells one password from the next.
    pub(super) encoded: Arc<str>,
    hash: PasswordHash,
}

impl User {
    /// Whether this is the user's password. Takes long, and as long for a wrong one.
    pub(super) fn has_password(&self, password: &str) -> bool {
        Argon2::default().verify_password(password.as_bytes(), &self.hash).is_ok()
    }
}

/// The users of a file.
#[derive(Debug)]
pub(super) struct Users {
    by_name: HashMap<Arc<str>, User>,
    nobody: User,
}

impl Users {
    /// Reads a file's content. The error is a sentence that names the line, and shows nothing of a hash.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            format!("line {} is not UTF-8", valid.split(|byte| *byte == b'\n').count())
        })?;
        let mut by_name = HashMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, user) = user(line).map_err(|error| format!("line {}: {error}", index + 1))?;
            if by_name.len() >= USERS_MAX {
                return Err(format!("there are more than {USERS_MAX} users"));
            }
            if by_name.insert(Arc::from(name), user).is_some() {
                return Err(format!("line {}: user \"{name}\" is there twice", index + 1));
            }
        }
        let nobody = nobody(by_name.values())?;
        Ok(Self { by_name, nobody })
    }

    /// The user of a name.
    pub(super) fn get(&self, name: &str) -> Option<&User> {
        self.by_name.get(name)
    }

    /// A user whose password nobody knows: to check a password against when there is no user of the name, so that it
    /// takes as long.
    pub(super) fn nobody(&self) -> &User {
        &self.nobody
    }
}

fn user(line: &str) -> Result<(&str, User), String> {
    let mut fields = line.split(':').map(str::trim);
    let (Some(name), Some(encoded)) = (fields.next(), fields.next()) else {
        return Err("a line is name:hash or name:hash:admin".to_owned());
    };
    if !is_name(name) {
        return Err("the name is empty, too long, or has control characters".to_owned());
    }
    let is_admin = match (fields.next(), fields.next()) {
        (None | Some(""), None) => false,
        (Some(ADMIN), None) => true,
        _ => return Err(format!("nothing but \"{ADMIN}\" may follow the hash")),
    };
    let hash = PasswordHash::new(encoded).map_err(|_| NO_HASH.to_owned())?;
    let params = Params::try_from(&hash).map_err(|_| NO_HASH.to_owned())?;
    if hash.algorithm.as_str() != "argon2id" || hash.salt.is_none() || hash.hash.is_none() {
        return Err(NO_HASH.to_owned());
    }
    if params.m_cost() > MEMORY_KIB_MAX || params.t_cost() > ROUNDS_MAX {
        return Err(format!(
            "the hash asks for more than {MEMORY_KIB_MAX} KiB (m) or {ROUNDS_MAX} rounds (t) for each login"
        ));
    }
    Ok((name, User { is_admin, encoded: Arc::from(encoded), hash }))
}

/// A user as costly to check as the costliest of these, with a hash that is no password's.
fn nobody<'a>(users: impl Iterator<Item = &'a User>) -> Result<User, String> {
    let cost = |params: &Params| u64::from(params.m_cost()) * u64::from(params.t_cost());
    let params = users.filter_map(|user| Params::try_from(&user.hash).ok()).max_by_key(cost).unwrap_or_default();
    let no_random = || "the system gives no random numbers".to_owned();
    let (mut salt, mut output) = ([0; RECOMMENDED_SALT_LEN], [0; Params::DEFAULT_OUTPUT_LEN]);
    let random = SystemRandom::new();
    random.fill(&mut salt).and_then(|()| random.fill(&mut output)).map_err(|_| no_random())?;
    let hash = PasswordHash {
        algorithm: argon2::Algorithm::Argon2id.ident(),
        version: Some(argon2::Version::V0x13.into()),
        params: (&params).try_into().map_err(|_| NO_HASH.to_owned())?,
        salt: Some(Salt::new(&salt).map_err(|_| no_random())?),
        hash: Some(Output::new(&output).map_err(|_| no_random())?),
    };
    Ok(User { is_admin: false, encoded: Arc::from(""), hash })
}

/// A line of a users file. The error is a sentence.
pub fn password_entry(name: &str, password: &str, is_admin: bool) -> Result<String, String> {
    if !is_name(name) || name.contains(':') || name.starts_with('#') {
        return Err(format!(
            "\"{}\" cannot be a user's name: it has a colon or control characters",
            name.escape_debug()
        ));
    }
    let hash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|error| format!("the password cannot be hashed: {error}"))?;
    let admin = if is_admin { format!(":{ADMIN}") } else { String::new() };
    Ok(format!("{name}:{hash}{admin}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the tests of argon2's reference implementation: "password" with salt "somesalt".
    const CHEAP: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

    #[test]
    fn a_line_that_we_make_is_read_and_knows_its_password() {
        let line = password_entry("zoë", "pa:ss wörd", true).unwrap();
        let users = Users::parse(format!("# users\n\n{line}\n").as_bytes()).unwrap();
        let user = users.get("zoë").unwrap();
        assert!(user.is_admin);
        assert!(user.has_password("pa:ss wörd"));
        assert!(!user.has_password("pa:ss word"));
        assert!(!users.nobody().has_password("pa:ss wörd"));
        assert!(users.get("Zoë").is_none());
        for name in ["a:b", "", "#a", "a\nb"] {
            assert!(password_entry(name, "x", false).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_hash_of_the_reference_implementation_is_understood() {
        let users = Users::parse(format!("alice:{CHEAP}").as_bytes()).unwrap();
        assert!(users.get("alice").unwrap().has_password("password"));
        assert!(!users.get("alice").unwrap().has_password("Password"));
        // An unknown user costs what this one costs.
        assert_eq!(users.nobody().hash.params, users.get("alice").unwrap().hash.params);
    }

    #[test]
    fn mistakes_name_their_line_and_not_the_hash() {
        for (text, expected) in [
            (format!("alice:{CHEAP}\nbob"), "line 2: a line is name:hash"),
            (format!("\nalice:{CHEAP}\nalice:{CHEAP}"), "line 3: user \"alice\" is there twice"),
            (format!("alice:{CHEAP}:root"), "line 1: nothing but \"admin\""),
            (format!(":{CHEAP}"), "line 1: the name"),
            ("alice:secret".to_owned(), "line 1: the hash is not argon2id's"),
            (format!("alice:{}", CHEAP.replace("argon2id", "argon2i")), "line 1: the hash is not argon2id's"),
            (format!("alice:{}", CHEAP.replace("m=256", "m=4000000")), "line 1: the hash asks for more"),
            (format!("alice:{}", CHEAP.rsplit_once('$').unwrap().0), "line 1: the hash is not argon2id's"),
        ] {
            let error = Users::parse(text.as_bytes()).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
            assert!(!error.contains("nf65EOgL") && !error.contains("secret"), "{error}");
        }
        assert_eq!(Users::parse(b"# a\n\xff").unwrap_err(), "line 2 is not UTF-8");
    }
}
