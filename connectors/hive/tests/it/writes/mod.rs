mod contract;
mod faults;
mod rows;
