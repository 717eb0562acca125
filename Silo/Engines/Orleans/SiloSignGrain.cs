using Orleans;
using Orleans.CodeGeneration;
using Orleans.Concurrency;
using Orleans.Runtime;
using Orleans.Serialization.Invocation;

namespace MultiCluster.Silo.Engines;

/// <summary>Tells a gateway which silo its call has come to: a sign of life of the connection to it, and of nothing else.</summary>
/// <remarks>It lives on every silo, answers on whichever a call arrives at, and needs neither the database nor another silo for that.</remarks>
[Alias("multicluster.silo-sign")]
internal interface ISiloSignGrain : IGrainWithIntegerKey
{
    /// <summary>Where this silo listens for gateways, such as <c>10.0.0.7:30000</c>.</summary>
    [Alias("show"), AlwaysInterleave, OverEverySilo, ResponseTimeout("00:00:03")]
    Task<string> ShowAsync();
}

/// <inheritdoc cref="ISiloSignGrain"/>
[StatelessWorker(1)]
internal sealed class SiloSignGrain(ILocalSiloDetails silo) : Grain, ISiloSignGrain
{
    /// <inheritdoc/>
    public Task<string> ShowAsync() => Task.FromResult(silo.GatewayAddress.Endpoint.ToString());
}

/// <summary>Calls of such a method lead from a gateway over one silo after the other; those of any other over the same one for each grain.</summary>
[AttributeUsage(AttributeTargets.Method), InvokableCustomInitializer(nameof(IRequest.AddInvokeMethodOptions), InvokeMethodOptions.Unordered)]
internal sealed class OverEverySiloAttribute : Attribute;
