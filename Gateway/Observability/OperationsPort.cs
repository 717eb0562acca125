using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace MultiCluster.Gateway.Observability;

/// <summary>Marks the connections of the operators' port, so that a forged Host header cannot pass for them.</summary>
public static class OperationsPort
{
    private static readonly object Key = new();

    /// <summary>Marks every connection of a Kestrel endpoint.</summary>
    public static void UseOperationsPort(this ListenOptions endpoint) =>
        endpoint.Use(next => connection =>
        {
            connection.Items[Key] = true;
            return next(connection);
        });

    internal static bool Matches(HttpContext http) =>
        http.Features.Get<IConnectionItemsFeature>()?.Items.ContainsKey(Key) == true;
}
