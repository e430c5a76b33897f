//! Whether an actuator that is killed and troubled acts exactly once: the scene,
//! the run that a seed decides, and the count in the API server's audit log.
//!
//! Both the trials and the bench use this. What is counted is what the API
//! server says: which writes it stored, and how each action ended.

mod run;
mod scene;
mod tally;

pub use run::{Run, seeded};
pub use scene::{Remedy, Scene, Servers, Wanted, Wants, labels_of};
pub use tally::{Tally, tally};
