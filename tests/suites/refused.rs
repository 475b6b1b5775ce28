//! Refusals that no other suite produces: one for each reason that is left.
//! Not here: that each is explained, which the harness sees to (`refusals`).

mod evidence;
mod trouble;
