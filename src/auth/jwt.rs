//! JSON web tokens (RFC 7519) of somebody else's making.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::errors::{Error as TokenError, ErrorKind};
use jsonwebtoken::{Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::credentials::is_name;
use super::files::{self, Watched};
use super::jwt_crypto;
use super::jwt_keys::{self, Key};
use crate::error::{Error, Result};

/// The longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// How far clocks may differ at most.
const LEEWAY_MAX: Duration = Duration::from_secs(600);

/// How far clocks may differ when nothing else is said.
pub(crate) const LEEWAY_DEFAULT: Duration = Duration::from_secs(60);

/// The claim that names the user when nothing else is said.
pub(crate) const USER_CLAIM_DEFAULT: &str = "sub";

/// How tokens are checked.
#[derive(Clone, Debug)]
pub struct JwtOptions {
    /// Where the keys are.
    pub keys: JwtKeys,
    /// Who must have made the token (`iss`).
    pub issuer: Option<String>,
    /// For whom the token must have been made (`aud`). When it is not given, a token that names an audience is refused.
    pub audience: Option<String>,
    /// How far the clocks of the issuer and of this machine may differ.
    pub leeway: Duration,
    /// The claim that names the user.
    pub user_claim: String,
}

impl JwtOptions {
    /// Tokens signed with these keys.
    pub fn new(keys: JwtKeys) -> Self {
        Self { keys, issuer: None, audience: None, leeway: LEEWAY_DEFAULT, user_claim: USER_CLAIM_DEFAULT.to_owned() }
    }
}

/// The file with the keys that check tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwtKeys {
    /// A public key in PEM.
    PublicKey(PathBuf),
    /// A secret that the issuer has too.
    Secret(PathBuf),
    /// A set of keys.
    KeySet(PathBuf),
}

impl JwtKeys {
    fn path(&self) -> &PathBuf {
        match self {
            Self::PublicKey(path) | Self::Secret(path) | Self::KeySet(path) => path,
        }
    }

    fn load(&self) -> Result<Vec<Key>, String> {
        let bytes = files::read(self.path())?;
        let keys = match self {
            Self::PublicKey(_) => jwt_keys::public_key(&bytes),
            Self::Secret(_) => jwt_keys::secret(&bytes),
            Self::KeySet(_) => jwt_keys::key_set(&bytes),
        };
        keys.map_err(|error| format!("{}: {error}", self.path().display()))
    }
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) user: Arc<str>,
    /// When it ends, in seconds since 1970.
    pub(super) expires: u64,
}

/// Checks tokens.
pub(super) struct JwtVerifier {
    keys: Watched<Vec<Key>>,
    user_claim: String,
    validation: Validation,
}

impl JwtVerifier {
    pub(super) fn open(options: JwtOptions) -> Result<Self> {
        jwt_crypto::install();
        if options.leeway > LEEWAY_MAX {
            return Err(Error::user(format!(
                "tokens cannot be accepted {} seconds after their end: the most is {}",
                options.leeway.as_secs(),
                LEEWAY_MAX.as_secs()
            )));
        }
        let mut validation = Validation::default();
        let mut required = vec!["exp"];
        validation.leeway = options.leeway.as_secs();
        validation.validate_nbf = true;
        if let Some(issuer) = &options.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        if let Some(audience) = &options.audience {
            validation.set_audience(&[audience]);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        let source = options.keys;
        let keys = Watched::open(vec![source.path().clone()], move || source.load())
            .map_err(|message| Error::user(format!("the keys of JSON web tokens: {message}")))?;
        Ok(Self { keys, user_claim: options.user_claim, validation })
    }

    /// What a token says, if it may be believed. Why it may not is logged.
    pub(super) fn verify(&self, token: &str) -> Option<Claims> {
        match self.check(token) {
            Ok(claims) => Some(claims),
            Err(reason) => {
                tracing::info!(reason, "a JSON web token was refused");
                None
            }
        }
    }

    fn check(&self, token: &str) -> Result<Claims, String> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(format!("it is longer than {TOKEN_BYTES_MAX} bytes"));
        }
        let header = decode_header(token).map_err(|error| said(&error))?;
        if header.crit.is_some() {
            return Err("it says that something must be understood which is not".to_owned());
        }
        let keys = self.keys.current();
        let fits = |key: &&Key| {
            let is_named = match (&header.kid, &key.id) {
                (Some(asked), Some(id)) => asked == id,
                _ => true,
            };
            is_named && key.algorithms.contains(&header.alg)
        };
        let mut reason = format!("no key goes with its algorithm {:?} and its key id", header.alg);
        for key in keys.iter().filter(fits) {
            let mut validation = self.validation.clone();
            validation.algorithms.clone_from(&key.algorithms);
            match decode::<Map<String, Value>>(token, &key.key, &validation) {
                Ok(data) => return self.claims(&data.claims),
                Err(error) => reason = said(&error),
            }
        }
        Err(reason)
    }

    fn claims(&self, claims: &Map<String, Value>) -> Result<Claims, String> {
        let user = claims.get(&self.user_claim).and_then(Value::as_str).filter(|user| is_name(user));
        let user = user.ok_or_else(|| format!("its claim {:?} is not the name of a user", self.user_claim))?;
        // Fractions of a second are allowed, and of no interest here.
        let expires = claims.get("exp").and_then(|value| value.as_u64().or_else(|| value.as_f64().map(|x| x as u64)));
        Ok(Claims { user: Arc::from(user), expires: expires.ok_or("it has no end")? })
    }
}

impl fmt::Debug for JwtVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtVerifier").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// Why a token was refused, without any of it: what it holds may be a secret of somebody else.
fn said(error: &TokenError) -> String {
    match error.kind() {
        ErrorKind::ExpiredSignature => "it has expired".to_owned(),
        ErrorKind::ImmatureSignature => "it is not valid yet".to_owned(),
        ErrorKind::InvalidSignature => "the signature is not right".to_owned(),
        ErrorKind::InvalidIssuer => "it is from another issuer".to_owned(),
        ErrorKind::InvalidAudience => "it is for another audience".to_owned(),
        ErrorKind::MissingRequiredClaim(claim) => format!("it has no {claim}"),
        _ => "it is not a token that can be read, or its algorithm is unknown".to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PublicKeyData};
    use ring::rand::SystemRandom;
    use ring::{hmac, signature};
    use serde_json::json;

    pub(in crate::auth) const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

    /// Seconds since 1970.
    pub(in crate::auth) fn now() -> u64 {
        jsonwebtoken::get_current_timestamp()
    }

    fn signed(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(sign(message.as_bytes())))
    }

    pub(in crate::auth) fn hs256(claims: &Value) -> String {
        with_secret(&json!({"alg": "HS256"}), claims, SECRET)
    }

    fn with_secret(header: &Value, claims: &Value, secret: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        signed(header, claims, |message| hmac::sign(&key, message).as_ref().to_vec())
    }

    fn verifier(kind: fn(PathBuf) -> JwtKeys, content: &[u8], change: impl FnOnce(&mut JwtOptions)) -> JwtVerifier {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("keys");
        std::fs::write(&file, content).unwrap();
        let mut options = JwtOptions::new(kind(file));
        change(&mut options);
        JwtVerifier::open(options).unwrap()
    }

    fn reason(verifier: &JwtVerifier, token: &str) -> String {
        verifier.check(token).unwrap_err()
    }

    #[test]
    fn claims_are_checked() {
        let verifier = verifier(JwtKeys::Secret, SECRET, |options| {
            options.issuer = Some("us".to_owned());
            options.audience = Some("portolan".to_owned());
            options.user_claim = "email".to_owned();
        });
        let end = now() + 1000;
        let good = json!({"iss": "us", "aud": ["other", "portolan"], "exp": end, "email": "zoe@example.org"});
        let expected = Claims { user: Arc::from("zoe@example.org"), expires: end };
        assert_eq!(verifier.check(&hs256(&good)), Ok(expected.clone()));
        // A little late, as far as this clock can tell.
        let with = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            hs256(&claims)
        };
        assert!(verifier.check(&with("exp", json!(now() - 10))).is_ok());
        assert!(verifier.check(&with("exp", json!(end as f64 + 0.5))).is_ok());
        assert!(verifier.check(&with("nbf", json!(now() + 10))).is_ok());
        for (token, expected) in [
            (with("exp", json!(now() - 100)), "it has expired"),
            (with("exp", json!("never")), "it"),
            (with("exp", Value::Null), "it"),
            (with("nbf", json!(now() + 100)), "it is not valid yet"),
            (with("iss", json!("them")), "it is from another issuer"),
            (with("iss", Value::Null), "it has no iss"),
            (with("aud", json!("other")), "it is for another audience"),
            (with("aud", Value::Null), "it has no aud"),
            (with("email", Value::Null), "its claim \"email\" is not the name of a user"),
            (with("email", json!("a\nb")), "its claim \"email\" is not the name of a user"),
            (with("email", json!(7)), "its claim \"email\" is not the name of a user"),
        ] {
            let reason = reason(&verifier, &token);
            assert!(reason.starts_with(expected), "{reason}");
        }
    }

    #[test]
    fn a_token_for_somebody_else_is_refused_where_no_audience_is_named() {
        let verifier = verifier(JwtKeys::Secret, SECRET, |_| {});
        assert!(verifier.check(&hs256(&json!({"sub": "a", "exp": now() + 100}))).is_ok());
        let other = hs256(&json!({"sub": "a", "exp": now() + 100, "aud": "other"}));
        assert_eq!(reason(&verifier, &other), "it is for another audience");
    }

    #[test]
    fn tricks_with_the_header_and_the_signature() {
        let claims = json!({"sub": "a", "exp": now() + 100});
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let pem = key.public_key_pem();
        let public = verifier(JwtKeys::PublicKey, pem.as_bytes(), |_| {});
        let secret = verifier(JwtKeys::Secret, SECRET, |_| {});

        let unsigned = signed(&json!({"alg": "none"}), &claims, |_| Vec::new());
        let unsigned_as = signed(&json!({"alg": "ES256"}), &claims, |_| Vec::new());
        // Signed with what everybody knows: the public key, as if it were a secret.
        let with_pem = with_secret(&json!({"alg": "HS256"}), &claims, pem.as_bytes());
        let with_point = with_secret(&json!({"alg": "HS256"}), &claims, key.der_bytes());
        let zeros = signed(&json!({"alg": "ES256"}), &claims, |_| vec![0; 64]);
        let garbage = ["", "..", "a.b", "a.b.c.d", "!.!.!"].map(str::to_owned);
        for token in [unsigned, unsigned_as, with_pem, with_point, zeros].into_iter().chain(garbage) {
            assert_eq!(public.verify(&token), None, "{token}");
            assert_eq!(secret.verify(&token), None, "{token}");
        }
        for header in [json!({"alg": "none"}), json!({"alg": "HS256", "crit": ["x"]}), json!({"alg": "RS256"})] {
            assert_eq!(secret.verify(&with_secret(&header, &claims, SECRET)), None, "{header}");
        }
        let other = with_secret(&json!({"alg": "HS256"}), &claims, b"another secret of thirty-two bytes");
        assert_eq!(reason(&secret, &other), "the signature is not right");
        // The content of one token with the signature of another.
        let (mine, yours) = (hs256(&claims), hs256(&json!({"sub": "b", "exp": now() + 100})));
        let mixed = format!("{}.{}", yours.rsplit_once('.').unwrap().0, mine.rsplit_once('.').unwrap().1);
        assert_eq!(reason(&secret, &mixed), "the signature is not right");
    }

    #[test]
    fn public_keys_verify() {
        let claims = json!({"sub": "a", "exp": now() + 100});
        let random = SystemRandom::new();
        let p256 = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let signer = signature::EcdsaKeyPair::from_pkcs8(algorithm, p256.serialized_der(), &random).unwrap();
        let sign = |message: &[u8]| signer.sign(&random, message).unwrap().as_ref().to_vec();
        let token = signed(&json!({"alg": "ES256", "kid": "any"}), &claims, sign);
        assert!(verifier(JwtKeys::PublicKey, p256.public_key_pem().as_bytes(), |_| {}).check(&token).is_ok());

        let ed = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let signer = signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(ed.serialized_der()).unwrap();
        let token = signed(&json!({"alg": "EdDSA"}), &claims, |message| signer.sign(message).as_ref().to_vec());
        assert!(verifier(JwtKeys::PublicKey, ed.public_key_pem().as_bytes(), |_| {}).check(&token).is_ok());
        assert!(verifier(JwtKeys::PublicKey, p256.public_key_pem().as_bytes(), |_| {}).check(&token).is_err());
    }

    #[test]
    fn a_set_has_the_key_that_a_token_asks_for() {
        let key = |id: &str, secret: &[u8]| json!({"kty": "oct", "kid": id, "k": URL_SAFE_NO_PAD.encode(secret)});
        let other = b"another secret of thirty-two bytes";
        let set = json!({"keys": [key("old", other), key("new", SECRET)]}).to_string();
        let verifier = verifier(JwtKeys::KeySet, set.as_bytes(), |_| {});
        let claims = json!({"sub": "a", "exp": now() + 100});
        let named = |id: &str| with_secret(&json!({"alg": "HS256", "kid": id}), &claims, SECRET);
        assert!(verifier.check(&named("new")).is_ok());
        assert!(verifier.check(&hs256(&claims)).is_ok());
        assert_eq!(reason(&verifier, &named("old")), "the signature is not right");
        assert!(reason(&verifier, &named("unknown")).contains("no key"));
    }
}
