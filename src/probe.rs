//! Asks the network now: resolvers, the zone's own servers, and the certificates that addresses show.
//!
//! What is to be asked is planned first ([`plan`], pure) and printed by `--dry-run`; [`run`] asks it within a budget of time
//! and packets and gives observations ([`crate::observation::probe`]). Nothing here concludes: detectors read the
//! observations like any other, and none of them asks anything.
//!
//! Manners: nobody is asked but the hosts in question, the configured resolvers, and the resolvers, root servers and control
//! hosts that `rules/` names; and no public resolver is told of a name that is not public ([`target::Private`]).

mod attempt;
mod chain;
mod experiment;
pub mod fetch;
pub mod hello;
mod iterate;
mod late;
pub mod plan;
mod resolvers;
mod run;
mod sockopt;
pub mod target;
mod tls;
mod trial;
mod wire;

pub use hello::GoHello;
pub use plan::{Budget, Consent, HelloQuestion, Plan, Question, Step};
pub use resolvers::is_ipv6_only;
pub use run::{ProbeError, Progress, run};
pub use target::{Host, Private, Role, Settings, Target, TargetError, of_recording};
