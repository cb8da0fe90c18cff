//! A lane for each endpoint, so that a slow one holds back none but itself.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many attempts are under way at each endpoint.
pub struct Lanes {
    /// Most attempts at once in one lane.
    width: usize,
    lanes: HashMap<String, Arc<Semaphore>>,
}

impl Lanes {
    /// Lanes for so many attempts each.
    pub fn new(width: usize) -> Self {
        Self { width, lanes: HashMap::new() }
    }

    /// The endpoints that take no more for now, and how many more deliveries can be taken on, even if all of them should
    /// be for one of the others.
    pub fn room(&mut self) -> (Vec<String>, usize) {
        self.lanes.retain(|_, lane| lane.available_permits() < self.width);
        let (mut full, mut room) = (Vec::new(), self.width);
        for (endpoint, lane) in &self.lanes {
            match lane.available_permits() {
                0 => full.push(endpoint.clone()),
                free => room = room.min(free),
            }
        }
        (full, room)
    }

    /// Takes a place in an endpoint's lane until what it gives is dropped; none while the lane is full.
    pub fn enter(&mut self, endpoint: &str) -> Option<OwnedSemaphorePermit> {
        let lane = self.lanes.entry(endpoint.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(self.width)));
        lane.clone().try_acquire_owned().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_lane_leaves_the_others_open() {
        let mut lanes = Lanes::new(2);
        assert_eq!(lanes.room(), (vec![], 2));
        let slow = [lanes.enter("slow"), lanes.enter("slow")];
        assert!(slow.iter().all(Option::is_some) && lanes.enter("slow").is_none());
        assert_eq!(lanes.room(), (vec!["slow".to_owned()], 2));
        let quick = lanes.enter("quick");
        assert_eq!(lanes.room(), (vec!["slow".to_owned()], 1));
        drop((slow, quick));
        assert_eq!(lanes.room(), (vec![], 2));
        assert!(lanes.lanes.is_empty(), "nothing is kept of endpoints without work");
    }
}
