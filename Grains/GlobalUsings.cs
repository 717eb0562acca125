global using Orleans;
global using Orleans.Concurrency;
global using FleetClock = MultiCluster.Fleet.FleetClock;
