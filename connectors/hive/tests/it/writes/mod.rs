mod cleaning;
mod contract;
mod faults;
mod rows;
