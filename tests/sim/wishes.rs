//! What operators wish in a simulated world, drawn from the seed.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use lvsmon::engine::Engine;
use lvsmon::engine::event::{
    Aim, AlertKind, Caution, ManualWish, Order, RealServerName, Target, Wish,
};
use lvsmon::engine::saved::Classic;
use lvsmon::model::{HostName, ServiceId};

/// A wish of somebody who does not look closely: many are refused.
pub(crate) fn draw(random: &mut Rng, engine: &Engine, saved: &Classic) -> Wish {
    let model = engine.model();
    let services = u32::try_from(model.services.len()).unwrap();
    let service = ServiceId(random.u32(0..services));
    let joe = || "joe".to_owned();
    match random.u8(..28) {
        0..=2 => Wish::Disable {
            target: target(random, engine, service),
            user: joe(),
        },
        3..=6 => Wish::Enable(target(random, engine, service)),
        7..=9 => Wish::Ack {
            service,
            user: joe(),
            comment: "known".to_owned(),
        },
        10 => Wish::Stop,
        11 | 12 => Wish::Start,
        13 => Wish::ClearTimers(service),
        14 => Wish::TestMonitor(service),
        16 | 17 => Wish::LoadState(saved.clone()),
        18..=24 => Wish::Manual(order(random)),
        25..=27 => Wish::EnableServer(aim(random)),
        _ => Wish::TestAlert {
            service,
            period: random.usize(..3),
            kind: [AlertKind::Test, AlertKind::Up][random.usize(..2)],
            exit: 1,
        },
    }
}

fn aim(random: &mut Rng) -> Aim {
    let (group, host) = (random.u8(..4), random.u8(..3));
    let network = random.u8(..6);
    let within = (network < 2).then(|| format!("10.0.{network}.{group}:80"));
    Aim {
        server: RealServerName(format!("g{group}h{host}")),
        within,
    }
}

/// What somebody wishes of a real server, in a hurry or not.
fn order(random: &mut Rng) -> Order {
    let limit_s = random.u64(5..200);
    let weight = random.u32(0..12);
    let wishes = [
        ManualWish::Drain { limit_s },
        ManualWish::Quiesce,
        ManualWish::Disable,
        ManualWish::Weight { weight },
    ];
    let span = Duration::from_secs(random.u64(1..900));
    Order {
        aim: aim(random),
        wish: wishes[random.usize(..4)],
        span: random.bool().then_some(span),
        by: "ann".to_owned(),
        reason: "new kernel".to_owned(),
        caution: match random.u8(..3) {
            0 => Caution::Force,
            _ => Caution::Refuse,
        },
    }
}

/// All that takes every wish back which holds something back.
pub(crate) fn all_back(engine: &Engine) -> Vec<Wish> {
    let model = engine.model();
    let hosts = model.hostgroups.iter().flat_map(|group| &group.members);
    let hosts: Vec<HostName> = hosts.map(|member| member.host.clone()).collect();
    let servers = hosts.iter().map(|host| {
        let server = RealServerName(host.to_string());
        Wish::EnableServer(Aim {
            server,
            within: None,
        })
    });
    let mut wishes: Vec<Wish> = servers.collect();
    wishes.extend([Wish::Start, Wish::Enable(Target::Hosts(hosts))]);
    for (id, service) in model.services() {
        wishes.push(Wish::Enable(Target::Service(id)));
        wishes.push(Wish::Enable(Target::Watch(Arc::clone(&service.group))));
    }
    wishes
}

fn target(random: &mut Rng, engine: &Engine, service: ServiceId) -> Target {
    let model = engine.model();
    match random.u8(..3) {
        0 => Target::Service(service),
        1 => Target::Watch(Arc::clone(&model.service(service).group)),
        _ => {
            let members = &model.hostgroup(service).members;
            Target::Hosts(vec![members[random.usize(..members.len())].host.clone()])
        }
    }
}
