//! What stands around a workload, in a line for a model: quota, claims, Services, neighbours, the past.
//!
//! Pure: no IO, no clock.

use super::{
    figures::{age, number},
    statement::Writer,
};
use crate::evidence::Fact;

impl Writer<'_> {
    /// What is around, or was before; empty for what the workload is itself.
    pub(super) fn around(&mut self, fact: &Fact) -> String {
        match fact {
            Fact::Quota {
                name,
                resource,
                used,
                hard,
            } => {
                let (name, resource) = (self.text(name), self.text(resource));
                let (used, hard) = (number(*used), number(*hard));
                format!("quota {name}: {used} of {hard} {resource} used")
            }
            Fact::Claim {
                name,
                phase,
                storage_class,
            } => {
                let (name, phase) = (self.text(name), self.text(phase));
                let class = self.text(storage_class);
                format!("volume claim {name} is {phase}, storage class {class}")
            }
            Fact::Service {
                ready,
                not_ready,
                selected,
                selects,
            } => {
                let selects = if *selects {
                    format!("its selector matches {selected} pods")
                } else {
                    "it has no selector".to_owned()
                };
                format!("Service with {ready} ready and {not_ready} unready endpoints; {selects}")
            }
            Fact::Siblings {
                pods,
                sick,
                sick_of_newest,
                of_newest,
            } => format!(
                "{sick} of its {pods} pods are in trouble, {sick_of_newest} of the {of_newest} of the newest revision"
            ),
            Fact::Dependency { .. } | Fact::Neighbour { .. } | Fact::PastAction { .. } => {
                self.others(fact)
            }
            // What it is itself is told elsewhere.
            Fact::Finding(_)
            | Fact::Series(_)
            | Fact::Events(_)
            | Fact::Condition(_)
            | Fact::Termination(_)
            | Fact::Waiting(_)
            | Fact::Container(_)
            | Fact::Rollout(_)
            | Fact::Node(_)
            | Fact::Scheduling(_)
            | Fact::Log { .. }
            | Fact::Replicas(_)
            | Fact::Autoscaler(_)
            | Fact::Budget { .. }
            | Fact::Job(_) => String::new(),
        }
    }

    fn others(&mut self, fact: &Fact) -> String {
        let at = self.question.case.at;
        if let Fact::Dependency { on, failed_at } = fact {
            let trouble = failed_at.map(|failed| format!("in trouble for {}", age(failed, at)));
            let trouble = trouble.unwrap_or_else(|| "not in trouble".to_owned());
            return format!("calls {}, which is {trouble}", self.about(on));
        }
        if let Fact::Neighbour {
            pod,
            resource,
            share,
            over_request,
        } = fact
        {
            let over = over_request.map(|over| format!(", {} times its request", number(over)));
            let (pod, resource) = (self.named(pod), self.text(resource));
            let share = number(share * 100.0);
            let over = over.unwrap_or_default();
            return format!("{pod} on the same node takes {share} % of its {resource}{over}");
        }
        if let Fact::PastAction {
            name: _,
            remedy,
            phase,
            ended_at,
        } = fact
        {
            let ended = ended_at.map(|ended| format!(", {} ago", age(ended, at)));
            let (phase, ended) = (self.text(phase), ended.unwrap_or_default());
            return format!("was treated with {}: {phase}{ended}", remedy.as_str());
        }
        String::new()
    }
}
