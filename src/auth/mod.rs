//! Who a client is.
//!
//! An [`Authenticator`] turns what a call brings (a password, a token, the certificate of its connection) into a
//! [`Principal`](crate::session::Principal). It knows nothing of the protocol that the call came by. The map:
//!
//! * `authenticator` decides; `credentials` is what clients say, `refusal` what they are told.
//! * `login` checks passwords: `users_file` has their hashes, `throttle` slows guessing down, `remembered` spares
//!   clients that send a password with each call.
//! * `jwt`, `jwt_keys` and `jwt_crypto` check the tokens of others; `certificate` reads the user's name out of one.
//! * `token` is what a login gives, signed with the key of `signing`.
//! * `files` reads files again when they change, so that users come and go without a restart.

mod authenticator;
mod certificate;
mod credentials;
mod files;
mod jwt;
mod jwt_crypto;
mod jwt_keys;
mod login;
mod refusal;
mod remembered;
mod signing;
mod throttle;
mod token;
mod users_file;

pub use authenticator::{AuthOptions, Authenticator, Identity};
pub(crate) use certificate::user_of as certificate_user;
pub use credentials::{Credentials, Peer};
pub(crate) use files::{Watched, read as read_file};
pub use jwt::{JwtKeys, JwtOptions};
pub use refusal::Refusal;
pub use signing::SigningKey;
pub use users_file::password_entry;
