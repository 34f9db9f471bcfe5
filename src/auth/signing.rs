//! Signatures over what clients keep for the server: session tokens, statement handles.

use std::fmt;
use std::path::Path;

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

use super::files;
use crate::error::{Error, Result};

/// The shortest key, in bytes: as long as the signature.
const KEY_BYTES_MIN: usize = 32;

/// The length of a signature, in bytes.
const SIGNATURE_BYTES: usize = 32;

/// A secret key that signs with HMAC-SHA256. What is signed for one purpose is not valid for another.
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// A new key, which ends with the process.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; KEY_BYTES_MIN];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| Error::internal("cannot make a key: the system gives no random numbers"))?;
        Ok(Self::of(&bytes))
    }

    /// The key that all bytes of a file are. Servers with the same file accept each other's signatures.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = files::read(path).map_err(|message| Error::user(format!("the key file: {message}")))?;
        if bytes.len() < KEY_BYTES_MIN {
            return Err(Error::user(format!(
                "the key file {} has {} bytes, and a key has at least {KEY_BYTES_MIN}",
                path.display(),
                bytes.len()
            ))
            .hint(format!("make one with: head -c {KEY_BYTES_MIN} /dev/urandom > FILE")));
        }
        Ok(Self::of(&bytes))
    }

    fn of(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The payload with its signature in front.
    pub fn sign(&self, purpose: &'static str, payload: &[u8]) -> Vec<u8> {
        let mut signed = self.digest(purpose, payload).to_vec();
        signed.extend_from_slice(payload);
        signed
    }

    /// The payload of what [`Self::sign`] returned for the same purpose; nothing for anything else.
    pub fn verify<'a>(&self, purpose: &'static str, signed: &'a [u8]) -> Option<&'a [u8]> {
        let (signature, payload) = signed.split_at_checked(SIGNATURE_BYTES)?;
        hmac::verify(&self.0, &message(purpose, payload), signature).ok()?;
        Some(payload)
    }

    /// A fingerprint that only who has the key can compute.
    pub(super) fn digest(&self, purpose: &'static str, payload: &[u8]) -> [u8; SIGNATURE_BYTES] {
        let mut digest = [0; SIGNATURE_BYTES];
        let tag = hmac::sign(&self.0, &message(purpose, payload));
        for (to, from) in digest.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        digest
    }
}

/// What is signed. The purpose's length comes first, so that no purpose and payload together read as another pair.
fn message(purpose: &str, payload: &[u8]) -> Vec<u8> {
    let length = u64::try_from(purpose.len()).unwrap_or(u64::MAX);
    [&length.to_be_bytes(), purpose.as_bytes(), payload].concat()
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_one_key_one_purpose_and_one_payload() {
        let key = SigningKey::random().unwrap();
        let signed = key.sign("token", b"payload");
        assert_eq!(key.verify("token", &signed), Some(&b"payload"[..]));
        assert_eq!(key.verify("handle", &signed), None);
        assert_eq!(key.verify("toke", &key.sign("token", b"")), None);
        assert_eq!(SigningKey::random().unwrap().verify("token", &signed), None);
        for index in 0..signed.len() {
            let mut changed = signed.clone();
            changed[index] ^= 1;
            assert_eq!(key.verify("token", &changed), None, "byte {index}");
        }
        for length in 0..signed.len() {
            assert_eq!(key.verify("token", &signed[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn a_key_file_is_shared_by_servers_and_is_long_enough() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        std::fs::write(&file, [7; KEY_BYTES_MIN]).unwrap();
        let (one, other) = (SigningKey::read(&file).unwrap(), SigningKey::read(&file).unwrap());
        assert_eq!(other.verify("token", &one.sign("token", b"x")), Some(&b"x"[..]));
        std::fs::write(&file, [7; KEY_BYTES_MIN - 1]).unwrap();
        assert!(SigningKey::read(&file).unwrap_err().to_string().contains("31 bytes"));
    }
}
