global using Orleans;
global using FleetClock = MultiCluster.Fleet.FleetClock;
