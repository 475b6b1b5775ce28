//! What a request has to pass, one file a stage.
//! Not here: their order, which is the route's.

pub mod verify;
