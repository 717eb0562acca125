using Grpc.AspNetCore.HealthChecks;
using Grpc.Core;
using Grpc.Health.V1;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using static Grpc.Health.V1.HealthCheckResponse.Types;

namespace MultiCluster.Engine.Grpc.Health;

/// <summary>Answers probes from the application's health checks.</summary>
internal sealed class HealthService(
    HealthCheckService checks, ServingStatuses statuses, IOptions<GrpcHealthChecksOptions> options, IHostApplicationLifetime lifetime)
    : global::Grpc.Health.V1.Health.HealthBase
{
    private readonly GrpcHealthChecksOptions _options = options.Value;

    public override async Task<HealthCheckResponse> Check(HealthCheckRequest request, ServerCallContext context)
    {
        ServiceMapping mapping = _options.Services.Find(request.Service) ?? throw new RpcException(new Status(StatusCode.NotFound, "The health of this service is not known."));
        ServingStatus status = _options.UseHealthChecksCache
            ? statuses.Current(request.Service).Status
            : await CheckNowAsync(mapping, context.CancellationToken);
        return new HealthCheckResponse { Status = status };
    }

    public override async Task Watch(HealthCheckRequest request, IServerStreamWriter<HealthCheckResponse> responseStream, ServerCallContext context)
    {
        ServiceMapping? mapping = _options.Services.Find(request.Service);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(
            context.CancellationToken, _options.SuppressCompletionOnShutdown ? CancellationToken.None : lifetime.ApplicationStopping);
        try
        {
            (ServingStatus status, Task changed) = statuses.Current(request.Service);
            if (mapping is null)
            {
                status = ServingStatus.ServiceUnknown;
            }
            else if (!_options.UseHealthChecksCache)
            {
                status = await CheckNowAsync(mapping, over.Token);
            }

            ServingStatus? told = null;
            while (true)
            {
                if (status != told)
                {
                    told = status;
                    await responseStream.WriteAsync(new HealthCheckResponse { Status = status });
                }

                await changed.WaitAsync(over.Token);
                (ServingStatus next, changed) = statuses.Current(request.Service);
                status = mapping is null ? ServingStatus.ServiceUnknown : next;
            }
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested)
        {
            // A client that is still there learns why its watch ends.
            if (!context.CancellationToken.IsCancellationRequested)
            {
                await responseStream.WriteAsync(new HealthCheckResponse { Status = ServingStatus.NotServing });
            }
        }
    }

    private async Task<ServingStatus> CheckNowAsync(ServiceMapping mapping, CancellationToken cancellationToken)
    {
        HealthReport report = await checks.CheckHealthAsync(
            check => mapping.HealthCheckPredicate!(new HealthCheckMapContext(check.Name, check.Tags)), cancellationToken);
        return ServingStatuses.Of(report.Entries.Values);
    }
}

/// <summary>What was last published for each service name, and a task that completes with the next publication. Thread-safe.</summary>
internal sealed class ServingStatuses
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, ServingStatus> _statuses = new(StringComparer.Ordinal);
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>A degraded part still serves; no checks at all say nothing.</summary>
    public static ServingStatus Of(IEnumerable<HealthReportEntry> entries)
    {
        var status = ServingStatus.Unknown;
        foreach (HealthReportEntry entry in entries)
        {
            if (entry.Status == HealthStatus.Unhealthy)
            {
                return ServingStatus.NotServing;
            }

            status = ServingStatus.Serving;
        }

        return status;
    }

    public (ServingStatus Status, Task Changed) Current(string service)
    {
        lock (_gate)
        {
            return (_statuses.GetValueOrDefault(service, ServingStatus.Unknown), _changed.Task);
        }
    }

    public void Publish(IEnumerable<(string Service, ServingStatus Status)> statuses)
    {
        TaskCompletionSource changed;
        lock (_gate)
        {
            foreach ((string service, ServingStatus status) in statuses)
            {
                _statuses[service] = status;
            }

            changed = _changed;
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        changed.SetResult();
    }
}

/// <summary>Takes over what the periodic health checks found.</summary>
internal sealed class ServingStatusPublisher(ServingStatuses statuses, IOptions<GrpcHealthChecksOptions> options) : IHealthCheckPublisher
{
    public Task PublishAsync(HealthReport report, CancellationToken cancellationToken)
    {
        statuses.Publish(options.Value.Services.Select(mapping => (
            mapping.Name,
            ServingStatuses.Of(report.Entries
                .Where(entry => mapping.HealthCheckPredicate!(new HealthCheckMapContext(entry.Key, entry.Value.Tags)))
                .Select(entry => entry.Value)))));
        return Task.CompletedTask;
    }
}
