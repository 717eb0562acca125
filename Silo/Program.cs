using System.CommandLine;
using MultiCluster.Silo.CommandLine;
using MultiCluster.Silo.Hosting;

// The host has its own deadline for what ends with it; the library's of two seconds would cut a silo off while it hands over.
return await ServiceCommand.Create().Parse(args).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = Service.LongestShutdown });
