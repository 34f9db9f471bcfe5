//! The keys that JSON web tokens are checked with, and the algorithms that each may be used for.
//!
//! The key decides, never the token: a public key is no HMAC secret, whatever a token's header says.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;

/// Keys of one JWKS file.
const KEYS_MAX: usize = 100;

/// The shortest secret of each algorithm, in bytes: as long as its hash (RFC 7518, section 3.2).
const SECRET_BYTES_MIN: [(Algorithm, usize); 3] =
    [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)];

/// The coordinates of a point in uncompressed form, with the byte in front, in bytes.
const P256_POINT_BYTES: usize = 65;
const P384_POINT_BYTES: usize = 97;
const ED25519_POINT_BYTES: usize = 32;

/// A key.
pub(super) struct Key {
    /// The name under which tokens ask for it.
    pub(super) id: Option<String>,
    /// What it may be used for, all of one family.
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) key: DecodingKey,
}

impl Key {
    fn new(id: Option<String>, key: DecodingKey) -> Result<Self, String> {
        let bytes = key.try_get_as_bytes().map(<[u8]>::len).unwrap_or_default();
        let algorithms = match (key.family(), bytes) {
            (AlgorithmFamily::Hmac, bytes) => secret_algorithms(bytes)?,
            (AlgorithmFamily::Rsa, _) => AlgorithmFamily::Rsa.algorithms().to_vec(),
            (AlgorithmFamily::Ec, P256_POINT_BYTES) => vec![Algorithm::ES256],
            (AlgorithmFamily::Ec, P384_POINT_BYTES) => vec![Algorithm::ES384],
            (AlgorithmFamily::Ed, ED25519_POINT_BYTES) => vec![Algorithm::EdDSA],
            (AlgorithmFamily::Ec | AlgorithmFamily::Ed, _) => {
                return Err("the curve is none of P-256, P-384 and Ed25519".to_owned());
            }
        };
        Ok(Self { id, algorithms, key })
    }
}

fn secret_algorithms(bytes: usize) -> Result<Vec<Algorithm>, String> {
    let fits = SECRET_BYTES_MIN.iter().filter(|(_, min)| bytes >= *min);
    let algorithms: Vec<Algorithm> = fits.map(|(algorithm, _)| *algorithm).collect();
    match algorithms.is_empty() {
        true => Err(format!("the secret has {bytes} bytes: HS256 needs 32, HS384 48 and HS512 64")),
        false => Ok(algorithms),
    }
}

/// The public key of a PEM file.
pub(super) fn public_key(bytes: &[u8]) -> Result<Vec<Key>, String> {
    let text = String::from_utf8_lossy(bytes);
    if text.contains("PRIVATE KEY-----") {
        return Err("it holds a private key: give the public one (openssl pkey -in FILE -pubout)".to_owned());
    }
    if text.contains("BEGIN CERTIFICATE-----") {
        return Err("it holds a certificate: give its public key (openssl x509 -in FILE -pubkey -noout)".to_owned());
    }
    if text.matches("-----BEGIN ").count() > 1 {
        return Err("it holds several keys: put them into a JWKS file".to_owned());
    }
    let key = DecodingKey::from_rsa_pem(bytes)
        .or_else(|_| DecodingKey::from_ec_pem(bytes))
        .or_else(|_| DecodingKey::from_ed_pem(bytes))
        .map_err(|_| "it is not a public key of RSA, P-256, P-384 or Ed25519 in PEM".to_owned())?;
    Ok(vec![Key::new(None, key)?])
}

/// The secret that all bytes of a file are, without the end of the line.
pub(super) fn secret(bytes: &[u8]) -> Result<Vec<Key>, String> {
    if bytes.starts_with(b"-----BEGIN ") {
        return Err("it holds a key in PEM, which is no secret to share: give it as a public key".to_owned());
    }
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    Ok(vec![Key::new(None, DecodingKey::from_secret(bytes))?])
}

/// A file of keys (RFC 7517). Keys that are of no use here are left out, and not one may be left.
pub(super) fn key_set(bytes: &[u8]) -> Result<Vec<Key>, String> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let set: Set = serde_json::from_slice(bytes).map_err(|error| format!("it is not a JWKS: {error}"))?;
    if set.keys.len() > KEYS_MAX {
        return Err(format!("it has more than {KEYS_MAX} keys"));
    }
    let mut keys = Vec::new();
    for (index, key) in set.keys.into_iter().enumerate() {
        match key_of_set(key) {
            Ok(key) => keys.push(key),
            Err(error) => tracing::warn!(key = index + 1, error, "a key of the JWKS file is not used"),
        }
    }
    match keys.is_empty() {
        true => Err("none of its keys can check a signature: RSA, P-256, P-384, Ed25519 and secrets can".to_owned()),
        false => Ok(keys),
    }
}

fn key_of_set(key: serde_json::Value) -> Result<Key, String> {
    let jwk: Jwk = serde_json::from_value(key).map_err(|error| error.to_string())?;
    if jwk.common.public_key_use.as_ref().is_some_and(|usage| *usage != PublicKeyUse::Signature) {
        return Err("it is not for signatures".to_owned());
    }
    // P-521 has no algorithm here, and its coordinates would be taken for something else.
    if let AlgorithmParameters::EllipticCurve(parameters) = &jwk.algorithm
        && !matches!(parameters.curve, EllipticCurve::P256 | EllipticCurve::P384)
    {
        return Err("the curve is neither P-256 nor P-384".to_owned());
    }
    let decoded = DecodingKey::from_jwk(&jwk).map_err(|error| error.to_string())?;
    let mut key = Key::new(jwk.common.key_id, decoded)?;
    if let Some(named) = jwk.common.key_algorithm {
        let named = Algorithm::try_from(named).map_err(|_| format!("{named} signs nothing"))?;
        key.algorithms.retain(|algorithm| *algorithm == named);
        if key.algorithms.is_empty() {
            return Err(format!("{named:?} does not go with the key"));
        }
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(result: Result<Vec<Key>, String>) -> String {
        result.map(|_| ()).unwrap_err()
    }

    #[test]
    fn a_secret_is_long_enough_for_its_algorithms() {
        let algorithms = |bytes: usize| secret(&vec![b'x'; bytes]).map(|keys| keys[0].algorithms.clone());
        assert_eq!(algorithms(32), Ok(vec![Algorithm::HS256]));
        assert_eq!(algorithms(64), Ok(vec![Algorithm::HS256, Algorithm::HS384, Algorithm::HS512]));
        assert!(algorithms(31).unwrap_err().contains("31 bytes"));
        let with_line_end = [&[b'x'; 31][..], b"\r\n"].concat();
        assert!(error(secret(&with_line_end)).contains("31 bytes"));
    }

    #[test]
    fn what_is_no_public_key_is_refused_with_what_to_do() {
        for (text, expected) in [
            ("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----", "-pubout"),
            ("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----", "-pubkey"),
            ("-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----", "not a public key"),
            ("secret", "not a public key"),
        ] {
            assert!(error(public_key(text.as_bytes())).contains(expected), "{text}");
        }
        assert!(error(secret(b"-----BEGIN PUBLIC KEY-----\n")).contains("public key"));
    }

    #[test]
    fn a_set_leaves_out_what_it_cannot_use() {
        // RFC 7517, appendix A.1 (the P-256 key; its use changed), and RFC 8037, appendix A.2.
        let set = r#"{"keys": [
            {"kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig",
             "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"},
            {"kty": "EC", "crv": "P-256", "use": "enc",
             "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"},
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
            {"kty": "oct", "k": "c2hvcnQ"},
            {"kty": "something new"}
        ]}"#;
        let keys = key_set(set.as_bytes()).unwrap();
        let found: Vec<_> = keys.iter().map(|key| (key.id.as_deref(), key.algorithms.as_slice())).collect();
        assert_eq!(found, [(Some("ec"), &[Algorithm::ES256][..]), (Some("ed"), &[Algorithm::EdDSA][..])]);
        assert!(error(key_set(b"{}")).contains("not a JWKS"));
        assert!(error(key_set(br#"{"keys": [{"kty": "oct", "k": "c2hvcnQ"}]}"#)).contains("none of its keys"));
    }
}
