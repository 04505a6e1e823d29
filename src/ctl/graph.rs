//! `graph`: how data flows, from the configuration alone, without a daemon.

use std::collections::BTreeMap;

use crate::ctl::args::Common;
use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::config;
use crate::ctl::options::GraphFormat;
use crate::ctl::output::{Form, Output};
use crate::decide::queue::{self, DueSync};
use crate::formats::config::Colour;
use crate::formats::graph::FlowChart;
use crate::model::{BootTime, Configuration, SyncName, upstreams};

/// Draws it.
pub fn graph(common: &Common, format: GraphFormat, output: &mut Output) -> Result<Exit, CommandError> {
    let configuration = match config::read_configuration(&config::paths(common, None)?)? {
        Ok(configuration) => configuration,
        Err(mistakes) => {
            output.complain_at_length(&mistakes.render(Colour::Styled));
            return Ok(Exit::Usage);
        }
    };
    let order = run_order(&configuration);
    let flow = FlowChart::new(&configuration, &order);
    match (output.form(), format) {
        (Form::Json, _) => output.print_json(&flow.json())?,
        (Form::Text, GraphFormat::Tree) => output.print_as_it_is(&flow.tree())?,
        (Form::Text, GraphFormat::Mermaid) => output.print_as_it_is(&flow.mermaid())?,
        (Form::Text, GraphFormat::Dot) => output.print_as_it_is(&flow.dot())?,
    }
    Ok(Exit::Fine)
}

/// All syncs in the order in which they run if all are due.
pub(super) fn run_order(configuration: &Configuration) -> Vec<SyncName> {
    let now = DueSync { last_success: None, ready_at: BootTime::default(), resources: [].into() };
    let due: BTreeMap<_, _> = configuration.syncs.keys().map(|name| (name.clone(), now.clone())).collect();
    queue::order(&due, &upstreams(&configuration.syncs))
}
