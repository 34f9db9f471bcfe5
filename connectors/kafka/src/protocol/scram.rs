//! The client's side of SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677), without channel binding, as Kafka has it.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac, pbkdf2};
use secrecy::{ExposeSecret, SecretString};

/// The fewest iterations that Kafka takes, and RFC 7677 asks for: fewer make a stolen exchange easy to guess a password from.
const MIN_ITERATIONS: u32 = 4_096;

/// The most that a broker may ask for: about a second of work.
const MAX_ITERATIONS: u32 = 1_000_000;

/// Bytes of a nonce.
const NONCE_BYTES: usize = 24;

/// No channel binding, and nobody else to act for.
const GS2_HEADER: &str = "n,,";

/// The functions of a mechanism.
pub(super) struct Functions {
    digest: &'static digest::Algorithm,
    hmac: hmac::Algorithm,
    pbkdf2: pbkdf2::Algorithm,
}

/// Those of SCRAM-SHA-256.
pub(super) static SHA_256: Functions =
    Functions { digest: &digest::SHA256, hmac: hmac::HMAC_SHA256, pbkdf2: pbkdf2::PBKDF2_HMAC_SHA256 };

/// Those of SCRAM-SHA-512.
pub(super) static SHA_512: Functions =
    Functions { digest: &digest::SHA512, hmac: hmac::HMAC_SHA512, pbkdf2: pbkdf2::PBKDF2_HMAC_SHA512 };

/// A login under way: the first message was made.
pub(super) struct Scram {
    functions: &'static Functions,
    password: SecretString,
    nonce: String,
    first: String,
}

/// A login whose proof was made: only the server's own is missing.
pub(super) struct Proven {
    server_key: hmac::Key,
    message: String,
}

impl Scram {
    /// Begins with a nonce of its own.
    pub(super) fn new(functions: &'static Functions, user: &str, password: &SecretString) -> Result<Self, String> {
        let mut bytes = [0; NONCE_BYTES];
        SystemRandom::new().fill(&mut bytes).map_err(|_| "this machine gives no random numbers".to_owned())?;
        Ok(Self::with_nonce(functions, (user, password), BASE64.encode(bytes)))
    }

    fn with_nonce(functions: &'static Functions, (user, password): (&str, &SecretString), nonce: String) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Self { functions, password: password.clone(), first: format!("n={user},r={nonce}"), nonce }
    }

    /// The client's first message.
    pub(super) fn first(&self) -> String {
        format!("{GS2_HEADER}{}", self.first)
    }

    /// The client's last message, of the server's first one.
    pub(super) fn prove(self, server_first: &str) -> Result<(String, Proven), String> {
        let wrong = || format!("its challenge is none of SCRAM: \"{server_first}\"");
        let mut parts = server_first.splitn(3, ',');
        let mut part = |name: &str| parts.next().and_then(|part| part.strip_prefix(name)).ok_or_else(wrong);
        let (nonce, salt, iterations) = (part("r=")?, part("s=")?, part("i=")?);
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("its challenge does not continue ours: it may answer somebody else".to_owned());
        }
        let salt = BASE64.decode(salt).map_err(|_| wrong())?;
        let iterations = iterations.split(',').next().and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
        let iterations = Some(iterations)
            .filter(|count| (MIN_ITERATIONS..=MAX_ITERATIONS).contains(count))
            .and_then(NonZeroU32::new)
            .ok_or_else(|| {
                format!("it asks for {iterations} iterations: {MIN_ITERATIONS} to {MAX_ITERATIONS} are good")
            })?;

        let functions = self.functions;
        let mut salted = vec![0; functions.digest.output_len()];
        pbkdf2::derive(functions.pbkdf2, iterations, &salt, self.password.expose_secret().as_bytes(), &mut salted);
        let salted = hmac::Key::new(functions.hmac, &salted);
        let client_key = hmac::sign(&salted, b"Client Key");
        let stored_key = digest::digest(functions.digest, client_key.as_ref());
        let unproven = format!("c={},r={nonce}", BASE64.encode(GS2_HEADER));
        let message = format!("{},{server_first},{unproven}", self.first);
        let signature = hmac::sign(&hmac::Key::new(functions.hmac, stored_key.as_ref()), message.as_bytes());
        let proof: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(key, sign)| key ^ sign).collect();
        let server_key = hmac::Key::new(functions.hmac, hmac::sign(&salted, b"Server Key").as_ref());
        Ok((format!("{unproven},p={}", BASE64.encode(proof)), Proven { server_key, message }))
    }
}

impl Proven {
    /// Whether the server knows the password, too, by its last message.
    pub(super) fn verify(&self, server_final: &str) -> Result<(), String> {
        if let Some(error) = server_final.strip_prefix("e=") {
            return Err(error.to_owned());
        }
        let signature = server_final.strip_prefix("v=").and_then(|text| text.split(',').next());
        let signature = signature.and_then(|text| BASE64.decode(text).ok()).unwrap_or_default();
        if hmac::verify(&self.server_key, self.message.as_bytes(), &signature).is_err() {
            return Err("it does not know the password itself: it may be somebody else".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails should stop")]

    use super::*;

    /// The exchange of RFC 7677, section 3.
    const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn example(password: &SecretString) -> Scram {
        Scram::with_nonce(&SHA_256, ("user", password), "rOprNGfwEbeRWgbNEkqO".to_owned())
    }

    #[test]
    fn the_example_of_the_specification() {
        let password = SecretString::from("pencil");
        let login = example(&password);
        assert_eq!(login.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let (last, proven) = login.prove(SERVER_FIRST).unwrap();
        assert_eq!(
            last,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        proven.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
        assert!(proven.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=").is_err());
        assert!(proven.verify("v=").is_err());
        assert_eq!(proven.verify("e=invalid-proof").unwrap_err(), "invalid-proof");
    }

    #[test]
    fn challenges_of_somebody_else_and_weak_ones_are_refused() {
        let password = SecretString::from("pencil");
        for (challenge, said) in [
            ("r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "does not continue ours"),
            ("r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "does not continue ours"),
            ("r=rOprNGfwEbeRWgbNEkqO1,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=100", "asks for 100 iterations"),
            ("r=rOprNGfwEbeRWgbNEkqO1,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4000000000", "asks for 4000000000 iterations"),
            ("r=rOprNGfwEbeRWgbNEkqO1,s=?,i=4096", "none of SCRAM"),
            ("hello", "none of SCRAM"),
        ] {
            let Err(error) = example(&password).prove(challenge) else { unreachable!("{challenge} is taken") };
            assert!(error.contains(said), "{challenge}: {error}");
        }
    }

    #[test]
    fn names_may_have_commas_and_equals_signs() {
        let password = SecretString::from("pencil");
        let login = Scram::with_nonce(&SHA_512, ("a=b,c", &password), "x".to_owned());
        assert_eq!(login.first(), "n,,n=a=3Db=2Cc,r=x");
    }
}
