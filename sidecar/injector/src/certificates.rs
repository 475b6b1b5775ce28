//! The webhook's certificate: by whom it is signed, when it is renewed, and who is told.
//! Not TLS itself, which is `symbolon_http`'s.

mod bundle;
mod files;
mod keeper;

pub(crate) use files::Files;
pub(crate) use keeper::Keeper;
